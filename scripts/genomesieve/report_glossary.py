"""What the words of a report mean."""

GLOSSARY = {
    "site, class, genome": "A site is one base (the last or first base of an exon for splice "
    "sites; the middle of a peak). A class is a kind of site. A genome is a named assembly.",
    "prediction (bin)": "One score for one class on one strand, for every step of the resolution. "
    "The curves count predictions.",
    "call": "A merged prediction above the threshold, a line of calls.bed.gz. The promises count "
    "calls.",
    "prevalence": "Sites per prediction, both strands counted where sites have a strand.",
    "precision": "The share of calls (or of predictions above a threshold) that are annotated "
    "sites.",
    "recall": "The share of the annotated sites that are found.",
    "average precision (AP)": "The mean precision over all recalls, at the genome's own "
    "prevalence. A model that guesses has an AP equal to the prevalence.",
    "AUROC": "The chance that a random site scores higher than a random other place. It does not "
    "depend on how rare sites are, and so it cannot tell a useful scan from a useless one.",
    "precision at recall r": "At the highest threshold whose recall is at least r; no "
    "interpolation.",
    "recall at precision p": "The largest recall with a precision of at least p and at least 20 "
    "predictions.",
    "top-k": "Precision of the k best predictions, where k is the number of sites.",
    "false positives per Mb": "Per megabase of genome, both strands summed, at the threshold that "
    "finds half of the sites.",
    "enrichment": "Precision over prevalence, at the same threshold.",
    "operating threshold": "The lowest threshold whose one-sided 95 % lower bound of precision, "
    "measured on the calibration part, reaches the target.",
    "promised precision": "What calibration expects of the calls, with a 95 % prediction interval: "
    "how well the precision is known, and the chance in the number of new calls.",
    "95 % interval": "From resampling blocks of the genome with replacement. Blocks of one contig "
    "do not speak for other contigs.",
    "ECE, Brier skill": "Expected calibration error over predictions of 0.01 and more, in bins of "
    "equal mass; improvement of the Brier score over always saying the prevalence.",
    "probability, fdr": "In calls.bed.gz: the chance that this very call is right, and the share "
    "of wrong calls among all that score at least as high - at the prevalence of the calibration "
    "genome.",
    "strand disagreement": "Where sites have no strand: the share of predictions that are called "
    "on one reading of the sequence (as it is, or reverse complemented) and not on the other, of "
    "those called on either. Measured on a sample of the scan; – where each strand has sites of "
    "its own.",
    "prior shift": "Only how common sites are differs between two genomes; sites score alike in "
    "both, and so do other places. Then scores alone tell how many sites there are.",
    "leaked site": "A site of which at least half of the 21-letter words within 100 bp also occur "
    "in training sequence, on either strand.",
}
