# Vitrine. `make run` and `make test` do everything; see README.md.
BUILD ?= build
CC ?= gcc
PKG := libseccomp libcap sqlite3 inih jansson libsodium
CFLAGS ?= -O2 -g
CPPFLAGS += -D_GNU_SOURCE -I. -D_FORTIFY_SOURCE=2
WARN := -std=gnu11 -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wno-format-nonliteral
HARDEN := -fstack-protector-strong -fPIE -fstack-clash-protection
LDFLAGS += -pie -Wl,-z,relro,-z,now,-z,noexecstack

ifdef SANITIZER
CFLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=$(SANITIZER)
CPPFLAGS := $(filter-out -D_FORTIFY_SOURCE=2,$(CPPFLAGS))
LDFLAGS += -fsanitize=$(SANITIZER)
endif

PROGRAMS := vitrine vitrine-runner vitrine-gateway vitrine-webui vitrine-sandbox vitrine-job vitrine-static
DIR_vitrine := cli
DIR_vitrine-runner := runner
DIR_vitrine-gateway := gateway
DIR_vitrine-webui := webui
DIR_vitrine-sandbox := sandbox
DIR_vitrine-job := job
DIR_vitrine-static := static
COMMON_LIBS := -lsodium -lsqlite3 -linih
LIBS_vitrine := $(COMMON_LIBS) -lcurl -ljansson -larchive
LIBS_vitrine-runner := $(COMMON_LIBS) -ljansson
LIBS_vitrine-gateway := $(COMMON_LIBS)
LIBS_vitrine-webui := $(COMMON_LIBS) -lmicrohttpd -ljansson -lcmark-gfm -lcmark-gfm-extensions -larchive -pthread
LIBS_vitrine-sandbox := $(COMMON_LIBS) -lseccomp -lcap
LIBS_vitrine-job := $(COMMON_LIBS) -larchive -lyaml -ljansson
LIBS_vitrine-static :=

all: $(addprefix $(BUILD)/,$(PROGRAMS))

objs = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard $(1)/*.c))

$(BUILD)/libcommon.a: $(call objs,common)
	@rm -f $@; ar rcs $@ $^

define PROGRAM
$(BUILD)/$(1): $(call objs,$(DIR_$(1))) $(BUILD)/libcommon.a
	$(CC) $(CFLAGS) $(LDFLAGS) -Wl,--as-needed -o $$@ $$^ $(LIBS_$(1))
endef
$(foreach p,$(PROGRAMS),$(eval $(call PROGRAM,$(p))))

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(WARN) $(HARDEN) -MMD -MP -c -o $@ $<

clean:
	rm -rf $(BUILD)

.PHONY: all clean
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
