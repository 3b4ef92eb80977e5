# Functions of the memory and disk that a job needs, in MB.
def engine_memory(wildcards, attempt):
    """Return the memory of calibration, harvest and scan, twice as much when one is tried again.

    They may use what the configuration gives them, beside which Python and PyTorch need some.
    """
    gigabytes = screen_of(wildcards).settings["scan"]["memory_gb"]
    return round(1000 * (gigabytes + 1)) * attempt


@cache
def bases_of(contigs):
    """Return how many bases a table of contigs has."""
    with open(contigs, newline="") as handle:
        return sum(int(row["length"]) for row in csv.DictReader(handle, delimiter="\t"))


def megabytes(size):
    """Return a size in bytes as MB, with room for tables and logs."""
    return 500 + round(size / 1e6)


def encoded_size(wildcards, input):
    """Return the disk that an encoded genome needs: a byte a base, and gzip saves three quarters."""
    packed = Path(input.fasta).suffix in (".gz", ".bgz")
    return megabytes(Path(input.fasta).stat().st_size * (5 if packed else 1))


def signal_size(wildcards, input):
    """Return the disk that an encoded signal needs: two bytes a base."""
    return megabytes(2 * bases_of(input.contigs))


def scan_size(wildcards, input):
    """Return the disk that the scan of a genome needs: two bytes a score where scores are kept.

    Bases outside the scanned parts are counted too: this is a bound. A shard on several devices
    holds its scores twice while they are joined, a merged scan has tracks of about their size.
    """
    screen = screen_of(wildcards)
    strands = 2 if screen.stranded else 1
    scores = len(screen.settings["classes"]) * strands / resolution(wildcards)
    kept = wildcards.genome in screen.labelled_genomes
    return megabytes(bases_of(input.contigs) * scores * (4 if kept else 2))


def two_bit_size(wildcards, input):
    """Return the disk that a genome's sequence needs in a track hub: a quarter of a byte a base."""
    return megabytes(bases_of(input.contigs) / 4)


def shard_size(wildcards, input):
    """Return the disk that one shard of a scan needs."""
    return scan_size(wildcards, input) // int(wildcards.shards) + 500
