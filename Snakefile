# results/genomes/{genome}/         encoded genomes, shared by all screens
# results/{screen}/                 one learning problem: sites, split, windows, training, report
# {road}/model, {road}/scan/...     the network (road = results/{screen}) or one of its baselines
#                                   (road = results/{screen}/baselines/{baseline})
from snakemake.utils import min_version

min_version("9.19")


# A configuration given with --configfile stands alone; otherwise the demo runs.
if "screens" not in config:

    configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/packages.smk"
include: "workflow/rules/genome.smk"
include: "workflow/rules/sites.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/scan.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"


localrules:
    all,
    fetch_package,
    unpack_file,


rule all:
    default_target: True
    input:
        expand("results/{screen}/report.html", screen=PLAN.screens),
        scans(PLAN),
