/* SPDX-License-Identifier: GPL-2.0 */
#if !defined(_TRACE_KVMI_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_KVMI_H

#include <linux/kvm_host.h>
#include <linux/tracepoint.h>

#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvmi

/* A command was run or refused. @vcpu is NULL for a command of the VM. */
TRACE_EVENT(kvmi_command,
	TP_PROTO(struct kvm_vcpu *vcpu, const char *name, u32 seq, int err),
	TP_ARGS(vcpu, name, seq, err),

	TP_STRUCT__entry(
		__field(int, vcpu)
		__string(name, name)
		__field(u32, seq)
		__field(int, err)
	),

	TP_fast_assign(
		__entry->vcpu = vcpu ? vcpu->vcpu_idx : -1;
		__assign_str(name);
		__entry->seq = seq;
		__entry->err = err;
	),

	TP_printk("vcpu %d %s seq %u err %d", __entry->vcpu, __get_str(name),
		  __entry->seq, __entry->err)
);

/* A vCPU sent an event. */
TRACE_EVENT(kvmi_event,
	TP_PROTO(struct kvm_vcpu *vcpu, const char *name, u32 seq),
	TP_ARGS(vcpu, name, seq),

	TP_STRUCT__entry(
		__field(int, vcpu)
		__string(name, name)
		__field(u32, seq)
	),

	TP_fast_assign(
		__entry->vcpu = vcpu->vcpu_idx;
		__assign_str(name);
		__entry->seq = seq;
	),

	TP_printk("vcpu %d %s seq %u", __entry->vcpu, __get_str(name),
		  __entry->seq)
);

/* A vCPU accepted the reply to its event. */
TRACE_EVENT(kvmi_event_reply,
	TP_PROTO(struct kvm_vcpu *vcpu, u32 seq, u8 action),
	TP_ARGS(vcpu, seq, action),

	TP_STRUCT__entry(
		__field(int, vcpu)
		__field(u32, seq)
		__field(u8, action)
	),

	TP_fast_assign(
		__entry->vcpu = vcpu->vcpu_idx;
		__entry->seq = seq;
		__entry->action = action;
	),

	TP_printk("vcpu %d seq %u action %u", __entry->vcpu, __entry->seq,
		  __entry->action)
);

#endif /* _TRACE_KVMI_H */

#include <trace/define_trace.h>
