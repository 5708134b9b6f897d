# Vitrine. `make run` and `make test` do everything, installation of what is missing included.
#
#   make [all]      build everything into build/        make V=1     show the commands
#   make run        ... and run it with the examples    make test    ... and run every test
#   make attack     the attack suite against the sandbox, and against others beside it; attack-user: as an
#                   ordinary user
#   make bench fuzz fuzz-long format lint install clean           make deps    what building and running needs
#   make test-unit test-sandbox test-programs test-runner test-gateway test-webui test-egress test-e2e test-browser
#                   test-attack test-vm   one suite; T=... picks tests
#   make test-large a file of 2 GiB up and down by Hugging Face's clients
#   make tsan       the gateway's suite with two loops, under ThreadSanitizer
#   make vm-shell   a root shell in the virtual machine of test-vm
#   make SANITIZER=address,undefined ...                builds into build-asan/
#   make CC=clang BUILD=build-clang ...                 another compiler, another folder
#
# A new .c file in a program's folder is picked up by itself.

ifdef SANITIZER
BUILD ?= build-$(if $(findstring address,$(SANITIZER)),asan,$(firstword $(subst $(comma), ,$(SANITIZER))))
else
BUILD ?= build
endif
comma := ,
ifeq ($(origin CC),default)
CC := gcc
endif
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)

# ---- flags -------------------------------------------------------------------------------------
CFLAGS ?= -O2 -g
WARN := -std=gnu11 -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wformat=2 -Wno-format-nonliteral -Wvla -Wundef
HARDEN := -fstack-protector-strong -fPIE -fstack-clash-protection
ALL_CPPFLAGS := -D_GNU_SOURCE -I.
ALL_LDFLAGS := -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed
ifdef SANITIZER
ALL_CFLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=$(SANITIZER) -fno-sanitize-recover=all
ALL_LDFLAGS += -fsanitize=$(SANITIZER)
# What gcc defines by itself: address space is not to be limited then.
ALL_CFLAGS += $(if $(findstring clang,$(CC)),$(if $(findstring address,$(SANITIZER)),-D__SANITIZE_ADDRESS__=1)$(if $(findstring thread,$(SANITIZER)),-D__SANITIZE_THREAD__=1))
# gcc guesses wrongly about both in instrumented code; the ordinary build has them on.
WARN += $(if $(findstring clang,$(CC)),,-Wno-format-truncation -Wno-maybe-uninitialized)
else
ALL_CFLAGS := $(CFLAGS)
ALL_CPPFLAGS += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
ALL_CPPFLAGS += $(CPPFLAGS)
ALL_LDFLAGS += $(LDFLAGS)

V ?= 0
quiet := $(findstring s,$(filter-out --%,$(firstword -$(MAKEFLAGS))))
say = $(if $(filter 0,$(V)),@$(if $(quiet),,printf '  %-5s %s\n' $(1) $(2);),)

# ---- programs ----------------------------------------------------------------------------------
PROGRAMS := vitrine vitrine-runner vitrine-gateway vitrine-webui vitrine-egress vitrine-sandbox vitrine-job vitrine-preload vitrine-static
DIR_vitrine := cli
DIR_vitrine-runner := runner
DIR_vitrine-gateway := gateway
DIR_vitrine-webui := webui
DIR_vitrine-egress := egress
DIR_vitrine-sandbox := sandbox
DIR_vitrine-job := job
DIR_vitrine-preload := preload
DIR_vitrine-static := static
COMMON_LIBS := -lsodium -lsqlite3 -linih
LIBS_vitrine := -lcurl -lssl -lcrypto -ljansson -larchive -pthread $(COMMON_LIBS)
LIBS_vitrine-runner := -ljansson $(COMMON_LIBS)
LIBS_vitrine-gateway := -lnghttp2 -lssl -lcrypto -pthread $(COMMON_LIBS)
LIBS_vitrine-webui := -lmicrohttpd -ljansson -lcmark-gfm -lcmark-gfm-extensions -larchive -pthread $(COMMON_LIBS)
LIBS_vitrine-egress := -lcurl $(COMMON_LIBS)
LIBS_vitrine-sandbox := -static-pie -lsodium
LIBS_vitrine-job := -larchive -lyaml -ljansson $(COMMON_LIBS)
LIBS_vitrine-preload := -lcurl -ljansson $(COMMON_LIBS)
# Linked statically they start 0.3 ms sooner, and forks copy less; the file server so also runs in a
# root without a libc.
LIBS_vitrine-static := -static-pie

all: $(addprefix $(BUILD)/,$(PROGRAMS)) examples ; @:

objs = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard $(1)/*.c))
# What lives below the sandbox's filter of system calls is built without sanitizers, whose runtime
# the filter kills. (Its code is in unit tests and fuzz targets, which have them.)
PLAIN := $(if $(SANITIZER),vitrine-sandbox vitrine-job vitrine-preload vitrine-static)
plain_objs = $(patsubst %.c,$(BUILD)/plain/%.o,$(wildcard $(1)/*.c))
assets = $(sort $(shell find $(1)/pages $(1)/static -type f 2>/dev/null))
assets_obj = $(if $(call assets,$(1)),$(BUILD)/obj/$(1)/assets.o)

$(BUILD)/libcommon.a: $(call objs,common)
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

$(BUILD)/plain/libcommon.a: $(call plain_objs,common)
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

# The sandbox's filters are made by a program of ours, by libseccomp.
GEN_vitrine-sandbox := $(BUILD)/gen/sandbox/filters.o
# Who confines itself (sandbox/service.h) has that part of the sandbox in it.
GEN_vitrine-gateway := $(patsubst %,$(BUILD)/obj/sandbox/%.o,service service_places creds filesystems filter landlock_none) $(GEN_vitrine-sandbox)
GEN_vitrine-webui := $(GEN_vitrine-gateway)
GEN_vitrine-egress := $(GEN_vitrine-gateway)
GEN_vitrine := $(patsubst %,$(BUILD)/obj/sandbox/%.o,service_group service_places service_cpus cgroup cgroup_host cgroup_places cgroup_limits)

# The sandbox is linked with musl, where that is installed (make MUSL= does without): glibc's start
# asks the processor about its caches some seventy times, and each answer of a virtual machine's takes
# microseconds, 0.7 ms in all where this was measured.
MACHINE := $(subst -pc-,-,$(shell $(CC) -dumpmachine))
MUSL_MACHINE := $(MACHINE:-gnu=-musl)
MUSL := $(patsubst %/rcrt1.o,%,$(wildcard /usr/lib/$(MUSL_MACHINE)/rcrt1.o))
MUSL_COMMON := err log util proto proto_io userns netrule utf8 buf names limits_met gpus
musl_objs = $(patsubst %.c,$(BUILD)/musl/%.o,$(wildcard sandbox/*.c) $(MUSL_COMMON:%=common/%.c))
ifneq ($(MUSL),)
COMPILER_HEADERS := $(firstword $(wildcard $(shell $(CC) -print-file-name=include) $(shell $(CC) -print-resource-dir 2>/dev/null)/include))
MUSL_CC = $(CC) -nostdinc -isystem /usr/include/$(MUSL_MACHINE) -isystem $(COMPILER_HEADERS) -idirafter $(BUILD)/musl/headers \
	$(ALL_CPPFLAGS) $(CFLAGS) $(WARN) $(HARDEN) -Wno-sign-compare -ffunction-sections -fdata-sections -MMD -MP

# The kernel's headers, and one of libcap's that only needs those.
$(BUILD)/musl/headers/done:
	@mkdir -p $(@D)/sys && cd $(@D) && ln -sfn /usr/include/linux /usr/include/asm-generic . && \
	ln -sfn /usr/include/$(MACHINE)/asm . && ln -sfn /usr/include/sys/capability.h sys/ && touch done

$(BUILD)/musl/%.o: %.c $(BUILD)/flags $(BUILD)/musl/headers/done
	@mkdir -p $(@D)
	$(call say,CC,$<)$(MUSL_CC) -c -o $@ $<

$(BUILD)/vitrine-sandbox: $(musl_objs) $(GEN_vitrine-sandbox)
	$(call say,LINK,$@)$(CC) $(CFLAGS) -static-pie -nostdlib -nostartfiles -Wl,--gc-sections $(filter-out -pie -fsanitize=%,$(ALL_LDFLAGS)) -o $@ \
	$(MUSL)/rcrt1.o $(MUSL)/crti.o $^ $(MUSL)/libc.a $(shell $(CC) -print-libgcc-file-name) $(MUSL)/crtn.o
endif

define PLAIN_PROGRAM
$(BUILD)/$(1): $(call plain_objs,$(DIR_$(1))) $(GEN_$(1)) $(BUILD)/plain/libcommon.a
	$$(call say,LINK,$$@)$$(CC) $$(CFLAGS) $$(filter-out -fsanitize=% $$(if $$(filter -static-pie,$$(LIBS_$(1))),-pie),$$(ALL_LDFLAGS)) -o $$@ $$^ $$(LIBS_$(1))
endef
$(foreach p,$(filter-out $(if $(MUSL),vitrine-sandbox),$(PLAIN)),$(eval $(call PLAIN_PROGRAM,$(p))))

define PROGRAM
$(BUILD)/$(1): $(call objs,$(DIR_$(1))) $(call assets_obj,$(DIR_$(1))) $(GEN_$(1)) $(BUILD)/libcommon.a
	$$(call say,LINK,$$@)$$(CC) $$(ALL_CFLAGS) $$(if $$(filter -static-pie,$$(LIBS_$(1))),$$(filter-out -pie,$$(ALL_LDFLAGS)),$$(ALL_LDFLAGS)) -o $$@ $$^ $$(LIBS_$(1))
endef
$(foreach p,$(filter-out $(PLAIN) $(if $(MUSL),vitrine-sandbox),$(PROGRAMS)),$(eval $(call PROGRAM,$(p))))

COMPILE = $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(WARN) $(HARDEN) -MMD -MP

# Changes when the compiler or its flags do, and with it everything is compiled anew.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D); printf '%s\n' '$(COMPILE)' | cmp -s - $@ 2>/dev/null || printf '%s\n' '$(COMPILE)' >$@

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(COMPILE) -c -o $@ $<

$(BUILD)/plain/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CPPFLAGS) $(CFLAGS) $(WARN) $(HARDEN) -MMD -MP -c -o $@ $<

$(BUILD)/gen/sandbox/generate: $(addprefix sandbox/filter/,generate.c rules.c rules.h rules_add.h rules_shared.c compact.c compact.h lists.h services.h) common/err.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CPPFLAGS) $(CFLAGS) $(WARN) -o $@ $(filter %.c,$^) -lseccomp
$(BUILD)/gen/sandbox/filters.c: $(BUILD)/gen/sandbox/generate
	$(call say,GEN,$@)$< >$@.new && mv $@.new $@
$(BUILD)/gen/sandbox/filters.o: $(BUILD)/gen/sandbox/filters.c sandbox/filter.h $(BUILD)/flags
	$(call say,CC,$<)$(CC) $(ALL_CPPFLAGS) $(CFLAGS) $(WARN) $(HARDEN) -c -o $@ $<

# Files below FOLDER/pages and FOLDER/static are compiled in (common/assets.h). The list is a
# prerequisite of its own, so that a file that was added or taken away counts, too.
define ASSETS
$(BUILD)/gen/$(1)/assets.list: FORCE
	@mkdir -p $$(@D); printf '%s\n' $(call assets,$(1)) | cmp -s - $$@ 2>/dev/null || printf '%s\n' $(call assets,$(1)) >$$@
$(BUILD)/gen/$(1)/assets.c: $(BUILD)/gen/$(1)/assets.list $(call assets,$(1)) common/embed.sh
	$$(call say,EMBED,$(1))common/embed.sh $(1) $(call assets,$(1)) >$$@
$(BUILD)/obj/$(1)/assets.o: $(BUILD)/gen/$(1)/assets.c $(BUILD)/flags
	@mkdir -p $$(@D)
	$$(call say,CC,$$<)$$(COMPILE) -c -o $$@ $$<
endef
$(foreach d,gateway webui cli job static runner,$(if $(call assets,$(d)),$(eval $(call ASSETS,$(d)))))

# ---- examples ----------------------------------------------------------------------------------
# Each folder of examples/ is copied; its Makefile, if it has one, then builds into the copy.
EXAMPLES := $(patsubst examples/%/README.md,%,$(wildcard examples/*/README.md))
examples: $(EXAMPLES:%=$(BUILD)/examples/.%.built) ; @:
define EXAMPLE
$(BUILD)/examples/.$(1).built: $(shell find examples/$(1) -type f -not -path '*/__pycache__/*')
	$$(call say,DEMO,$(1))rm -rf $(BUILD)/examples/$(1) && mkdir -p $(BUILD)/examples && \
	cp -r examples/$(1) $(BUILD)/examples/$(1) && rm -rf $(BUILD)/examples/$(1)/__pycache__ && \
	{ [ ! -f examples/$(1)/Makefile ] || $$(MAKE) --no-print-directory -C examples/$(1) \
		OUT=$(abspath $(BUILD))/examples/$(1) CC="$$(firstword $$(CC))"; } && touch $$@
endef
$(foreach e,$(EXAMPLES),$(eval $(call EXAMPLE,$(e))))

# ---- run ---------------------------------------------------------------------------------------
deps:
	@.ci/deps run
run:
	@.ci/deps run
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@exec $(BUILD)/vitrine up --examples

# ---- tests -------------------------------------------------------------------------------------
# A unit test is one program a file; the comment that opens it names what it is linked with besides
# common/: "objects: gateway/chunk.o; libs: -lfoo".
header = $(shell sed -n '1,/\*\//p' $(1) | tr '\n*' '  ' | sed -n 's|.*$(2):\([^;/]*\(/[^;/]*\)*\).*|\1|p')
test_objs = $(addprefix $(BUILD)/obj/,$(filter %.o,$(call header,$(1),objects)))
test_libs = $(filter -l%,$(call header,$(1),libs))

UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
unit-tests: $(UNIT_TESTS) ; @:
define UNIT_TEST
$(BUILD)/tests/$(1): $(BUILD)/obj/tests/unit/$(1).o $(call test_objs,tests/unit/$(1).c) $(BUILD)/libcommon.a
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)$$(CC) $$(ALL_CFLAGS) $$(ALL_LDFLAGS) -o $$@ $$^ $(call test_libs,tests/unit/$(1).c) -lcmocka $$(COMMON_LIBS)
endef
$(foreach t,$(notdir $(UNIT_TESTS)),$(eval $(call UNIT_TEST,$(t))))

$(BUILD)/tests/test_sandbox_service $(BUILD)/tests/test_sandbox_service_webui: $(GEN_vitrine-sandbox)

# Suites: tests/run says what each is. T=NAME picks tests by name.
SUITES := unit sandbox programs runner gateway webui egress e2e browser shapes attack vm
RUN_TESTS = VITRINE_BUILD=$(abspath $(BUILD)) SANITIZER=$(SANITIZER) tests/run $(if $(T),-k '$(T)')
test:
	@.ci/deps test vm
	@$(MAKE) --no-print-directory -j$(JOBS) all unit-tests fuzz-targets $(BUILD)/venv/.done \
		$(BUILD)/programs/.done $(BUILD)/wheels/.done $(BUILD)/attack/attempts hub-clients
	@FUZZ_SECONDS=$(or $(FUZZ_SECONDS),2) $(RUN_TESTS)
test-unit: unit-tests
	@$(RUN_TESTS) unit
test-sandbox: all
	@$(RUN_TESTS) sandbox sandbox-user
test-programs: all $(BUILD)/programs/.done
	@$(RUN_TESTS) programs programs-user
test-runner: all
	@$(RUN_TESTS) runner runner-user
test-gateway: all
	@$(RUN_TESTS) gateway
test-webui: all
	@$(RUN_TESTS) webui
test-egress: all
	@$(RUN_TESTS) egress
test-e2e: all hub-clients
	@$(RUN_TESTS) e2e e2e-user builds builds-user spaces
test-browser: all $(BUILD)/venv/.done $(BUILD)/wheels/.done
	@$(RUN_TESTS) browser
test-shapes: all $(BUILD)/venv/.done
	@$(RUN_TESTS) shapes
# A file of 2 GiB by Hugging Face's clients: no part of test.
test-large: all hub-clients
	@SUITE_SECONDS=10800 $(RUN_TESTS) large
# Under another kernel, in a virtual machine: see tests/vm/run.
test-vm: all $(BUILD)/attack/attempts
	@.ci/deps test vm
	@$(RUN_TESTS) vm
vm-shell: all
	@.ci/deps test vm
	@VITRINE_BUILD=$(abspath $(BUILD)) tests/vm/run --shell

test-attack: $(BUILD)/vitrine-sandbox $(BUILD)/attack/attempts
	@$(RUN_TESTS) attack attack-user

# Tests drive Debian's chromium with playwright, and Spaces with Hugging Face's clients, which Debian does not have.
$(BUILD)/venv/.done: tests/browser/requirements.txt tests/shapes/requirements.txt
	$(call say,VENV,$(@D))/usr/bin/python3 -m venv --system-site-packages $(@D) && \
	$(@D)/bin/pip install -q --disable-pip-version-check $(addprefix -r ,$^) && touch $@

# What the examples are built from in tests: a folder of wheels in place of a package index.
$(BUILD)/wheels/.done: tests/browser/wheels.txt
	$(call say,PIP,$(@D))rm -rf $(@D) && mkdir -p $(@D) && /usr/bin/python3 -m pip download -q --disable-pip-version-check \
	--only-binary :all: -d $(@D) -r $< && touch $@

# What demos are made of and Debian does not have: shown to a sandbox, which sees no /usr/local of ours.
$(BUILD)/programs/.done: tests/sandbox/requirements.txt
	$(call say,PIP,$(@D))rm -rf $(@D) && PIP_ROOT_USER_ACTION=ignore /usr/bin/python3 -m pip install -q \
	--disable-pip-version-check --no-warn-conflicts --only-binary :all: --target $(@D) -r $< && touch $@

# Hugging Face's own clients, of today and of a year ago: tests/e2e/test_hub.py drives them.
HUB := $(patsubst tests/hub/%.txt,$(BUILD)/hub/%/.done,$(wildcard tests/hub/*.txt))
hub-clients: $(HUB) ; @:
$(BUILD)/hub/%/.done: tests/hub/%.txt
	$(call say,PIP,$(@D))rm -rf $(@D) && PIP_ROOT_USER_ACTION=ignore /usr/bin/python3 -m pip install -q \
	--disable-pip-version-check --no-warn-conflicts --only-binary :all: --target $(@D) -r $< && touch $@

# The attack suite: each attempt in our sandbox and in two others. Linked statically, so that it runs
# in any root.
$(BUILD)/attack/attempts: $(call objs,tests/attack)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(ALL_CFLAGS) -static -pthread -o $@ $^
attack:
	@.ci/deps bench
	@$(MAKE) --no-print-directory -j$(JOBS) $(BUILD)/vitrine-sandbox $(BUILD)/attack/attempts
	@VITRINE_BUILD=$(abspath $(BUILD)) tests/attack/run $(if $(T),-k '$(T)')
# Adds what it found as `rootless` to BUILD/attack.json.
attack-user:
	@.ci/deps bench
	@$(MAKE) --no-print-directory -j$(JOBS) $(BUILD)/vitrine-sandbox $(BUILD)/attack/attempts
	@tests/attack/as-user $(abspath $(BUILD)) $(if $(T),-k '$(T)')

# What a visitor may send and a demo answer, to our gateway (a part of its suite) and to nginx and haproxy.
conformance:
	@.ci/deps bench
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@VITRINE_BUILD=$(abspath $(BUILD)) tests/conformance/run $(if $(T),-k '$(T)')

slow-attacks:
	@.ci/deps bench
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@VITRINE_BUILD=$(abspath $(BUILD)) tests/gateway/slow-attacks

# Two loops wherever a test does not say how many; built into build-thread/.
tsan:
	@.ci/deps test
	@$(MAKE) --no-print-directory -j$(JOBS) SANITIZER=thread BUILD=$(BUILD)-thread $(BUILD)-thread/vitrine-gateway
	@VITRINE_BUILD=$(abspath $(BUILD))-thread SANITIZER=thread VITRINE_TEST_THREADS=2 tests/run $(if $(T),-k '$(T)') gateway

# 8 GiB each way through the gateway, compared by hash; some minutes. VOLUME=--gib=1 makes it less.
volume: $(BUILD)/vitrine-gateway
	@VITRINE_BUILD=$(abspath $(BUILD)) tests/gateway/volume.py $(VOLUME)

# ---- fuzzing -----------------------------------------------------------------------------------
# tests/fuzz/fuzz_NAME.c names its objects as a unit test does; everything is compiled by clang with
# the sanitizers. Seeds are in tests/fuzz/corpus/NAME/, what is found goes to BUILD/fuzz/.
FUZZ_CC := clang
FUZZ_FLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
fuzz-targets: $(FUZZ_TARGETS) ; @:
fuzz: fuzz-targets
	@FUZZ_SECONDS=$(or $(FUZZ_SECONDS),10) $(RUN_TESTS) fuzz
# The gateway's, or those that T names, RUNS times each.
FUZZ_LONG := h2 http1_request http1_response chunk proxyhead forwarded blank visit http1_proxy
fuzz-long: fuzz-targets
	@VITRINE_BUILD=$(abspath $(BUILD)) tests/fuzz/long $(or $(RUNS),10000000) $(JOBS) $(or $(T),$(FUZZ_LONG))
$(BUILD)/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,FUZZ,$<)$(FUZZ_CC) -D_GNU_SOURCE -I. $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link $(WARN) -MMD -MP -c -o $@ $<
$(BUILD)/fuzz/libcommon.a: $(patsubst $(BUILD)/obj/%,$(BUILD)/fuzz/obj/%,$(call objs,common))
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^
define FUZZ_TARGET
$(BUILD)/fuzz/$(1): $(addprefix $(BUILD)/fuzz/obj/,tests/fuzz/$(1).o $(filter %.o,$(call header,tests/fuzz/$(1).c,objects))) $(BUILD)/fuzz/libcommon.a
	$$(call say,LINK,$$@)$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer -o $$@ $$^ $(call test_libs,tests/fuzz/$(1).c) $$(COMMON_LIBS)
endef
$(foreach t,$(notdir $(FUZZ_TARGETS)),$(eval $(call FUZZ_TARGET,$(t))))

# ---- benches -----------------------------------------------------------------------------------
# Each tests/bench/bench-NAME measures ours and the peers, prints a table, writes BUILD/bench/NAME.json.
# T names one, or several by their first word: `make bench-gateway` is all of gateway-*.
BENCHES := $(patsubst tests/bench/bench-%,%,$(wildcard tests/bench/bench-*))
bench-%:
	@$(MAKE) --no-print-directory bench T=$*
bench:
	@.ci/deps bench
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@mkdir -p $(BUILD)/bench
	@set -e; for b in $(if $(T),$(or $(filter $(T)-%,$(BENCHES)),$(T)),$(BENCHES)); do VITRINE_BUILD=$(abspath $(BUILD)) tests/bench/bench-$$b; done

# ---- care --------------------------------------------------------------------------------------
SOURCES = $(sort $(shell git ls-files '*.c' '*.h' 2>/dev/null || find . -name '*.[ch]' -not -path './build*'))
format:
	clang-format -i $(SOURCES)
lint:
	@.ci/deps lint
	@BUILD=$(BUILD) JOBS=$(JOBS) .ci/lint

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/vitrine $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/doc/vitrine
	install -m 0755 $(addprefix $(BUILD)/,$(PROGRAMS)) $(DESTDIR)$(PREFIX)/lib/vitrine/
	ln -sf ../lib/vitrine/vitrine $(DESTDIR)$(PREFIX)/bin/vitrine
	ln -sf ../lib/vitrine/vitrine-sandbox $(DESTDIR)$(PREFIX)/bin/vitrine-sandbox
	cp -r $(BUILD)/examples $(DESTDIR)$(PREFIX)/lib/vitrine/ && rm -f $(DESTDIR)$(PREFIX)/lib/vitrine/examples/.*.built
	$(foreach s,1 5 8,$(if $(wildcard man/*.$(s)),install -d $(DESTDIR)$(PREFIX)/share/man/man$(s) && \
		install -m 0644 $(wildcard man/*.$(s)) $(DESTDIR)$(PREFIX)/share/man/man$(s)/;))
	install -m 0644 LICENSE share/vitrine.service share/vitrine.socket $(wildcard README.md ARCHITECTURE.md SECURITY.md) $(DESTDIR)$(PREFIX)/share/doc/vitrine/

clean:
	rm -rf $(BUILD)

.PHONY: all fuzz-long conformance slow-attacks tsan volume hub-clients attack attack-user vm-shell clean deps run examples unit-tests fuzz-targets fuzz bench format lint install test \
	$(SUITES:%=test-%) FORCE
-include $(shell find $(BUILD)/obj $(BUILD)/plain $(BUILD)/musl $(BUILD)/fuzz/obj -name '*.d' 2>/dev/null)
