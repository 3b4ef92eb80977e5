#!/usr/bin/env bash
# Start a small SLURM cluster on this machine: a controller and three nodes, reachable on loopback
# only. Nodes cpu1 and cpu2 are partition `cpu`; gpu1 is partition `gpu` and says that it has four
# GPUs, which are links to /dev/null: the scheduler grants them, and nothing can compute on them.
# There is no accounting database.
#
#   slurm_up.sh          install what is missing (Debian packages), stop and forget what an earlier
#                        call left, start, wait until all nodes idle
#   slurm_up.sh --check  only say whether that can work here
#
# Exit status: 0 it runs (or would), 3 not possible here, for the reason printed, 1 it went wrong.
set -euo pipefail

HOME_FOLDER=${SLURM_TEST_HOME:-/var/tmp/genomesieve-slurm}
MARK="# Written by genomesieve's tests"
PACKAGES=(slurmctld slurmd slurm-client munge)
NODES=(cpu1 cpu2 gpu1)

impossible() {
    echo "SLURM tests cannot run here: $*"
    exit 3
}

fail() {
    echo "SLURM did not start: $*" >&2
    tail -n 15 "$HOME_FOLDER"/log/*.log >&2 2> /dev/null || true
    exit 1
}

wait_for() { # wait_for SECONDS COMMAND...
    local seconds=$1
    shift
    for _ in $(seq $((seconds * 5))); do
        "$@" > /dev/null 2>&1 && return 0
        sleep 0.2
    done
    fail "'$*' still fails after $seconds s"
}

missing_packages() {
    local package
    for package in "${PACKAGES[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'ok installed' ||
            echo "$package"
    done
}

check() {
    [ "$(id -u)" = 0 ] || impossible "root is needed to start its daemons"
    command -v apt-get > /dev/null || impossible "its packages are those of Debian"
    if [ -e /etc/slurm/slurm.conf ] && ! grep -q "^$MARK" /etc/slurm/slurm.conf; then
        impossible "/etc/slurm/slurm.conf belongs to another SLURM"
    fi
}

install_packages() {
    local missing log=$HOME_FOLDER/log/apt.log policy=/usr/sbin/policy-rc.d made=""
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    # Without this the packages would start services of their own.
    if [ ! -e $policy ]; then
        made=yes
        printf '#!/bin/sh\nexit 101\n' > $policy
        chmod +x $policy
    fi
    # shellcheck disable=SC2086
    if ! { apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } \
        > "$log" 2>&1; then
        [ -z "$made" ] || rm -f $policy
        impossible "installing" $missing "failed: $(grep -m 1 -i '^E:' "$log")"
    fi
    [ -z "$made" ] || rm -f $policy
}

write_configuration() {
    local host number
    host=$(hostname -s)
    mkdir -p /etc/slurm "$HOME_FOLDER"/{run,state,gpus}
    for number in 0 1 2 3; do
        ln -sf /dev/null "$HOME_FOLDER/gpus/gpu$number"
    done
    # Snakemake's plugin takes the SLURM_ variables out of jobs, so the file has to be at its
    # default place. The nodes claim more cores and memory than the machine has. Finished jobs are
    # remembered for an hour (MinJobAge), long enough for squeue and for the tests.
    cat > /etc/slurm/slurm.conf << CONF
$MARK
ClusterName=genomesieve
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=6817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation=$HOME_FOLDER/state
SlurmdSpoolDir=$HOME_FOLDER/spool/%n
SlurmctldPidFile=$HOME_FOLDER/run/slurmctld.pid
SlurmdPidFile=$HOME_FOLDER/run/slurmd.%n.pid
SlurmctldLogFile=$HOME_FOLDER/log/slurmctld.log
SlurmdLogFile=$HOME_FOLDER/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,batch_sched_delay=0
ReturnToService=2
MinJobAge=3600
KillWait=2
GresTypes=gpu
NodeName=cpu[1-2] NodeHostname=$host NodeAddr=127.0.0.1 Port=[6821-6822] CPUs=8 RealMemory=64000
NodeName=gpu1 NodeHostname=$host NodeAddr=127.0.0.1 Port=6823 CPUs=16 RealMemory=64000 Gres=gpu:fake:4
PartitionName=cpu Nodes=cpu[1-2] Default=YES MaxTime=2-00:00:00
PartitionName=gpu Nodes=gpu1 MaxTime=2-00:00:00
CONF
    printf 'AutoDetect=off\nNodeName=gpu1 Name=gpu Type=fake File=%s/gpus/gpu[0-3]\n' \
        "$HOME_FOLDER" > /etc/slurm/gres.conf
}

start_munge() {
    if munge -n 2> /dev/null | unmunge > /dev/null 2>&1; then
        return 0
    fi
    install -d -o munge -g munge -m 755 /run/munge
    install -d -o munge -g munge -m 700 /etc/munge /var/log/munge /var/lib/munge
    if [ ! -s /etc/munge/munge.key ]; then
        head -c 128 /dev/urandom > /etc/munge/munge.key
    fi
    chown munge:munge /etc/munge/munge.key
    chmod 400 /etc/munge/munge.key
    setpriv --reuid=munge --regid=munge --clear-groups munged --force \
        > "$HOME_FOLDER/log/munged.log" 2>&1 || fail "munged"
    touch "$HOME_FOLDER/run/started-munge"
    wait_for 10 sh -c 'munge -n | unmunge'
}

start_daemons() {
    local node
    setsid slurmctld < /dev/null > "$HOME_FOLDER/log/slurmctld.out" 2>&1 || fail "slurmctld"
    wait_for 30 scontrol ping
    for node in "${NODES[@]}"; do
        mkdir -p "$HOME_FOLDER/spool/$node"
        setsid slurmd -N "$node" < /dev/null > "$HOME_FOLDER/log/slurmd.$node.out" 2>&1 ||
            fail "slurmd $node"
    done
}

all_idle() {
    [ "$(sinfo -h -N -t idle -o %N | sort -u | wc -l)" = ${#NODES[@]} ]
}

check
[ "${1:-}" != --check ] || exit 0
# A controller that reads the state of one that was killed waits for jobs that are gone.
"$(dirname "$0")/slurm_down.sh" > /dev/null
mkdir -p "$HOME_FOLDER"/{log,run}
chmod 755 "$HOME_FOLDER" "$HOME_FOLDER"/{log,run}
install_packages
write_configuration
start_munge
start_daemons
wait_for 30 all_idle
granted=$(srun -p gpu --gpus=1 --mem=50 -t 1 sh -c 'echo "GPU $CUDA_VISIBLE_DEVICES"') ||
    fail "a first job"
[ "$granted" = "GPU 0" ] || fail "a first job was granted '$granted', expected 'GPU 0'"
echo "SLURM runs: $(sinfo -h -N -o '%N (%P)' | tr '\n' ' ')"
