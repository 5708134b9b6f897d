# shellcheck shell=bash
# What root's and the user's part have in common. One suite of tests/run: its output goes to the console, each line with
# a prefix, and into OUT/NAME.log, where the host reads the sum.
export VITRINE_BUILD=/mnt/build PYTHONDONTWRITEBYTECODE=1 CI=true LANG=C.UTF-8 TEST_PATIENCE=4
out=/mnt/out

suite() {
    local name=$1
    shift
    # Only what was asked for: vm.suites=NAME,NAME on the kernel's command line.
    [[ ,$(sed -n 's/.*vm\.suites=\([^ ]*\).*/\1/p' /proc/cmdline), = *,$name,* ]] || return 0
    mkdir -p "/tmp/results-$name"
    VITRINE_RESULTS=/tmp/results-$name tests/run "$@" 2>&1 | tee "$out/$name.log" | sed -u "s/^/$name: /"
    echo "vm: $name ended" | tee -a "$out/$name.log"
}
