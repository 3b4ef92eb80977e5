#!/usr/bin/env bash
# Stop what slurm_up.sh started and remove its state and configuration; the packages stay.
set -uo pipefail

HOME_FOLDER=${SLURM_TEST_HOME:-/var/tmp/genomesieve-slurm}

stop() { # stop PID_FILE NAME
    local pid
    [ -s "$1" ] || return 0
    pid=$(cat "$1")
    [[ "$(cat "/proc/$pid/comm" 2> /dev/null)" == "$2" ]] || return 0
    kill "$pid" 2> /dev/null
    for _ in $(seq 50); do
        kill -0 "$pid" 2> /dev/null || return 0
        sleep 0.2
    done
    kill -9 "$pid" 2> /dev/null
}

[ -d "$HOME_FOLDER/run" ] || exit 0
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
