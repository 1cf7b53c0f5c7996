/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __KVMI_COMMANDS_H
#define __KVMI_COMMANDS_H

/* Command handlers, in the order of the table. Included by kvmi_int.h. */

int kvmi_cmd_get_version(struct kvmi_call *call);
int kvmi_cmd_vm_check_command(struct kvmi_call *call);
int kvmi_cmd_vm_check_event(struct kvmi_call *call);
int kvmi_cmd_vm_get_info(struct kvmi_call *call);
int kvmi_cmd_vcpu_get_info(struct kvmi_call *call);
int kvmi_cmd_vcpu_pause(struct kvmi_call *call);
int kvmi_cmd_vm_control_events(struct kvmi_call *call);
int kvmi_cmd_vcpu_control_events(struct kvmi_call *call);
int kvmi_cmd_vcpu_control_cr(struct kvmi_call *call);
int kvmi_cmd_vcpu_control_msr(struct kvmi_call *call);
int kvmi_cmd_vcpu_get_registers(struct kvmi_call *call);
int kvmi_cmd_vcpu_set_registers(struct kvmi_call *call);
int kvmi_cmd_vcpu_get_cpuid(struct kvmi_call *call);
int kvmi_cmd_vcpu_get_xsave(struct kvmi_call *call);
int kvmi_cmd_vm_read_physical(struct kvmi_call *call);
int kvmi_cmd_vm_write_physical(struct kvmi_call *call);
int kvmi_cmd_vcpu_inject_exception(struct kvmi_call *call);
int kvmi_cmd_vm_get_page_access(struct kvmi_call *call);
int kvmi_cmd_vm_set_page_access(struct kvmi_call *call);
int kvmi_cmd_vm_get_map_token(struct kvmi_call *call);
int kvmi_cmd_vcpu_get_mtrr_type(struct kvmi_call *call);
int kvmi_cmd_vm_control_cmd_response(struct kvmi_call *call);
int kvmi_cmd_vm_get_max_gfn(struct kvmi_call *call);
int kvmi_cmd_vcpu_translate_gva(struct kvmi_call *call);
int kvmi_cmd_vcpu_get_xcr(struct kvmi_call *call);
int kvmi_cmd_vcpu_set_xsave(struct kvmi_call *call);
int kvmi_cmd_vm_query_physical(struct kvmi_call *call);
int kvmi_cmd_vcpu_control_singlestep(struct kvmi_call *call);
int kvmi_cmd_vm_set_page_access_ranges(struct kvmi_call *call);

#endif /* __KVMI_COMMANDS_H */
