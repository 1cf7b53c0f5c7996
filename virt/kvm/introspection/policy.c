// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: what the VMM allows the tool to use.
 */

#include "kvmi_int.h"

static bool kvmi_always_allowed(s32 id)
{
	const struct kvmi_command *cmd = kvmi_find_command(id);

	return cmd && cmd->always;
}

void kvmi_policy_reset(struct kvm_introspection *kvmi)
{
	s32 id;

	lockdep_assert_held(&kvmi->mutex);

	bitmap_zero(kvmi->allowed_events, KVMI_NUM_EVENTS);
	for (id = 0; id < KVMI_NUM_MESSAGES; id++)
		assign_bit(id, kvmi->allowed_commands, kvmi_always_allowed(id));
}

int kvmi_policy_command(struct kvm_introspection *kvmi, u32 allow, s32 id)
{
	lockdep_assert_held(&kvmi->mutex);

	if (allow > 1 || id >= KVMI_NUM_MESSAGES)
		return -EINVAL;

	if (id == -1) {
		for (id = KVMI_GET_VERSION; id < KVMI_NUM_MESSAGES; id++)
			assign_bit(id, kvmi->allowed_commands,
				   allow || kvmi_always_allowed(id));
		return 0;
	}

	/* The first two ids are no commands. */
	if (id < KVMI_GET_VERSION)
		return -EINVAL;
	if (!allow && kvmi_always_allowed(id))
		return -EPERM;

	assign_bit(id, kvmi->allowed_commands, allow);
	return 0;
}

int kvmi_policy_event(struct kvm_introspection *kvmi, u32 allow, s32 id)
{
	lockdep_assert_held(&kvmi->mutex);

	if (allow > 1 || id < -1 || id >= KVMI_NUM_EVENTS)
		return -EINVAL;

	if (id != -1)
		assign_bit(id, kvmi->allowed_events, allow);
	else if (allow)
		bitmap_fill(kvmi->allowed_events, KVMI_NUM_EVENTS);
	else
		bitmap_zero(kvmi->allowed_events, KVMI_NUM_EVENTS);
	return 0;
}
