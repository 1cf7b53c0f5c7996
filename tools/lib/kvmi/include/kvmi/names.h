/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVMI_NAMES_H
#define KVMI_NAMES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** kvmintro_command_name - "VM_GET_INFO" for an id, NULL if it is unknown */
const char *kvmintro_command_name(uint16_t id);

/** kvmintro_event_name - "CR" for an id, NULL if it is unknown */
const char *kvmintro_event_name(uint16_t id);

#ifdef __cplusplus
}
#endif
#endif
