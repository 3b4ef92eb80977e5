# results/genomes/{genome}/         encoded genomes, shared by all screens
# results/pretraining/{name}/       stem and trunk learned without labels, and their perplexity
# results/{screen}/                 one learning problem: sites, split, windows, training, report
# {road}/model, {road}/scan/...     the screen's model (road = results/{screen}), a baseline (road =
#                                   results/{screen}/baselines/{baseline}), the network of one seed
#                                   (.../members/seed{seed}), of an earlier round of hard negatives
#                                   (.../rounds/round{round}) or stage (.../stages/{stage})
from snakemake.utils import min_version

min_version("9.19")


# A configuration given with --configfile stands alone; otherwise the demo runs.
if "screens" not in config:

    configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/networks.smk"
include: "workflow/rules/options.smk"
include: "workflow/rules/job_sizes.smk"
include: "workflow/rules/explanations.smk"
include: "workflow/rules/packages.smk"
include: "workflow/rules/genome.smk"
include: "workflow/rules/sites.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/rounds.smk"
include: "workflow/rules/scan.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/attribute.smk"
include: "workflow/rules/motifs.smk"
include: "workflow/rules/interventions.smk"
include: "workflow/rules/probes.smk"
include: "workflow/rules/stages.smk"
include: "workflow/rules/explain.smk"
include: "workflow/rules/design.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/hub.smk"
include: "workflow/rules/views.smk"


onsuccess:
    print(outcome_text(list(PLAN.screens), time.monotonic() - STARTED), file=sys.stderr)


onerror:
    print(failure_text(log), file=sys.stderr)


localrules:
    all,
    fetch_file,
    fetch_package,
    note_scan_settings,
    unpack_file,


rule all:
    default_target: True
    input:
        expand(
            "results/{screen}/{page}",
            screen=PLAN.screens,
            page=("report.html", "provenance.json"),
        ),
        expand("results/pretraining/{name}/perplexity.tsv", name=PLAN.pretraining),
        scans(PLAN),
        hubs(PLAN),
        stage_targets(PLAN),
        explanations(PLAN),
        variant_targets(PLAN),
        design_targets(PLAN),
        views(PLAN),
        comparisons(PLAN),
