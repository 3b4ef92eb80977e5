#!/usr/bin/env bash
# Stop what slurm_up.sh started and remove its state and configuration; the packages stay.
set -uo pipefail

HOME_FOLDER=${SLURM_TEST_HOME:-/var/tmp/genomesieve-slurm}
MARK="# Written by genomesieve's tests"

runs() { # runs PID NAME; a dead process whose parent has not noticed counts as gone.
    grep -qs "^Name:[[:space:]]*$2\$" "/proc/$1/status" &&
        ! grep -qs "^State:[[:space:]]*Z" "/proc/$1/status"
}

stop() { # stop PID_FILE NAME
    local pid
    [ -s "$1" ] || return 0
    pid=$(cat "$1")
    runs "$pid" "$2" || return 0
    kill "$pid"
    for _ in $(seq 50); do
        runs "$pid" "$2" || return 0
        sleep 0.2
    done
    kill -9 "$pid"
}

grep -q "^$MARK" /etc/slurm/slurm.conf 2> /dev/null || exit 0
if timeout 10 scancel --user root 2> /dev/null; then
    # Daemons that are stopped at once would leave the jobs' processes behind.
    for _ in $(seq 50); do
        [ -n "$(squeue -h -t running,completing 2> /dev/null)" ] || break
        sleep 0.2
    done
fi
for file in "$HOME_FOLDER"/run/slurmd.*.pid; do
    stop "$file" slurmd
done
stop "$HOME_FOLDER/run/slurmctld.pid" slurmctld
[ ! -e "$HOME_FOLDER/run/started-munge" ] || stop /run/munge/munged.pid munged
rm -rf "$HOME_FOLDER" /etc/slurm/slurm.conf /etc/slurm/gres.conf
echo "SLURM is stopped"
