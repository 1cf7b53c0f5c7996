# SPDX-License-Identifier: GPL-2.0-only
#
# The KVMI headers in a directory of their own, beside the system's: the
# kernel's include/uapi as a whole is not for user space. Needs O and KVMI_ROOT,
# the root of the kernel tree; gives UAPI_HEADERS and UAPI_CFLAGS.

UAPI := $(O)/uapi
UAPI_HEADERS := $(UAPI)/linux/kvmi.h $(UAPI)/linux/kvmmem.h $(UAPI)/asm/kvmi.h
UAPI_CFLAGS := -I$(UAPI)

# Explicit targets: make would remove what only a pattern rule names. Moved into place,
# as the library and the command are made at the same time.
define copy_header
@mkdir -p $(@D)
@cp $< $@.$$$$ && mv $@.$$$$ $@
endef

$(UAPI)/linux/kvmi.h $(UAPI)/linux/kvmmem.h: $(UAPI)/linux/%.h: \
		$(KVMI_ROOT)/include/uapi/linux/%.h
	$(copy_header)

$(UAPI)/asm/kvmi.h: $(KVMI_ROOT)/arch/x86/include/uapi/asm/kvmi.h
	$(copy_header)
