#!/usr/bin/env bash
# Stop what slurm_up.sh started, in whatever state it is, and remove its state and configuration;
# the packages stay.
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

kill_steps() { # Those of nodes that were killed: they would answer the next controller.
    local step job
    for step in /proc/[0-9]*; do
        grep -qsx slurmstepd "$step/comm" || continue
        [[ "$(readlink "$step/cwd")" == "$HOME_FOLDER"/* ]] || continue
        for job in $(cat "$step"/task/*/children); do
            kill -9 -- "-$job" "$job" 2> /dev/null
        done
        kill -9 "${step#/proc/}"
    done
}

if runs "$(cat "$HOME_FOLDER/run/slurmctld.pid" 2> /dev/null)" slurmctld &&
    timeout 10 scancel --user root 2> /dev/null; then
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
kill_steps
[ ! -e "$HOME_FOLDER/run/started-munge" ] || stop /run/munge/munged.pid munged
if grep -qs "^$MARK" /etc/slurm/slurm.conf; then
    rm -f /etc/slurm/slurm.conf /etc/slurm/gres.conf
fi
rm -rf "$HOME_FOLDER"
echo "SLURM is stopped"
