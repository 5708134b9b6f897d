# shellcheck shell=bash
# What runs in the virtual machine: lanes side by side, each in a group that systemd delegated to it (vm-root@LANE and
# vm-user@LANE), each with its suites one after the other. A suite's output goes to the console, each line with a prefix,
# and into OUT/NAME.log, where the host reads the sum.
export VITRINE_BUILD=/mnt/programs PYTHONDONTWRITEBYTECODE=1 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 CI=true LANG=C.UTF-8 TEST_PATIENCE=6
export PYTEST_ADDOPTS=--durations=8 SUITE_SECONDS=100000 # the host has the limit of time
out=/mnt/out
lanes="vm-root@first vm-root@second vm-root@attack vm-user@sandbox vm-user@attack vm-user@bombs"

# Root's part of the suite of the sandbox, in two lanes.
first="bombs or check or inside or many_starts or network"
# Left out in here, since it takes long and says nothing about a kernel or its control groups that its neighbours do
# not say; all of it runs on the host's own kernel:
left_out="a_thousand_in_a_row"                                          # what a start costs after a thousand of them
left_out+=" or wrong_usage or what_cannot_be_is_said"                   # how options are parsed
left_out+=" or for_people or status_is_the_program or what_killed"      # how a trace is printed
left_out+=" or who_is_calm_keeps"                                       # beside busy lanes a hog gets nothing, and is none
left_out+=" or orphans_are_reaped"                                      # a thousand of them; strangers_are_reaped has five
# What differs for a user: groups, ids, limits, the network. The rest is the same code as for root.
users="bombs or starter or network or identity or limits or one_uid"

lane() {
    case $1 in
    vm-root@first)
        suite root-first -k "($first) and not ($left_out)" sandbox
        suite root-bombs -k bomb- attack
        ;;
    vm-root@second)
        suite root-second -k "not ($first) and not ($left_out)" sandbox
        suite root-inside vm/inside
        "$(cat /proc/sys/kernel/modprobe)" loop # nobody asks for it: that takes its device
        suite root-data -k "kernel_holds or there_before or leaves_no_quota" runner
        suite root-internet internet
        ;;
    vm-root@attack)
        suite root-attack -k "not bomb-" attack
        ;;
    vm-user@sandbox)
        suite user-sandbox -k "($users) and not ($left_out)" sandbox
        suite user-inside vm/inside
        suite user-internet internet
        ;;
    vm-user@attack)
        suite user-attack -k "not bomb-" attack
        ;;
    vm-user@bombs)
        suite user-bombs -k bomb- attack
        ;;
    esac
}

suite() {
    local name=$1 began=$SECONDS
    shift
    # Only what was asked for: vm.suites=NAME,NAME on the kernel's command line.
    [[ ,$(sed -n 's/.*vm\.suites=\([^ ]*\).*/\1/p' /proc/cmdline), = *,$name,* ]] || return 0
    # vm.only=TEST,TEST: no others of them.
    local only
    only=$(sed -n 's/.*vm\.only=\([^ ]*\).*/\1/p' /proc/cmdline)
    if [ -n "$only" ]; then
        [ "$1" != -k ] || shift 2
        set -- -k "${only//,/ or }" "$@"
    fi
    mkdir -p "/tmp/results-$name"
    VITRINE_RESULTS=/tmp/results-$name tests/run "$@" 2>&1 | tee "$out/$name.log" | sed -u "s/^/$name: /"
    echo "vm: $name ended after $((SECONDS - began)) s" | tee -a "$out/$name.log"
}
