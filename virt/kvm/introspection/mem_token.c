// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: tokens, for which a VM's memory can be mapped.
 *
 * A token stands for a VM where neither its file nor its socket can be handed over: in
 * the kernel of another VM, or on the host for a tool that has only the socket.
 */

#include <crypto/utils.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "kvmi_int.h"

/**
 * struct kvmi_token - a token that can be used
 * @node: In the list of all tokens.
 * @mem: What it is for, with a reference.
 * @expires: In jiffies.
 * @writable: The memory may be written.
 * @token: Its value.
 */
struct kvmi_token {
	struct list_head node;
	struct kvmi_mem *mem;
	unsigned long expires;
	bool writable;
	struct kvmi_map_mem_token token;
};

/* All tokens, in the order in which they expire. */
static LIST_HEAD(kvmi_tokens);
static DEFINE_SPINLOCK(kvmi_tokens_lock);

/* Removes a token from the list of all, to @list. */
static void kvmi_token_unlink(struct kvmi_token *token, struct list_head *list)
{
	lockdep_assert_held(&kvmi_tokens_lock);

	list_move(&token->node, list);
	token->mem->nr_tokens--;
}

static void kvmi_tokens_expire(struct list_head *list)
{
	struct kvmi_token *token, *next;

	lockdep_assert_held(&kvmi_tokens_lock);

	list_for_each_entry_safe(token, next, &kvmi_tokens, node) {
		if (time_before(jiffies, token->expires))
			break;
		kvmi_token_unlink(token, list);
	}
}

static void kvmi_tokens_free(struct list_head *list)
{
	struct kvmi_token *token, *next;

	list_for_each_entry_safe(token, next, list, node) {
		kvmi_mem_put(token->mem);
		kfree_sensitive(token);
	}
}

int kvmi_cmd_vm_get_map_token(struct kvmi_call *call)
{
	struct kvm_introspection *kvmi = call->kvm->introspection;
	struct kvmi_vm_get_map_token_reply *rpl = call->rpl;
	struct kvmi_token *token;
	LIST_HEAD(gone);
	int r = 0;

	if (!kvmi_mem_is_allowed(kvmi, false))
		return -KVM_EPERM;

	token = kzalloc(sizeof(*token), GFP_KERNEL_ACCOUNT);
	if (!token)
		return -KVM_ENOMEM;

	token->mem = kvmi_mem_get(kvmi);
	if (IS_ERR(token->mem)) {
		r = PTR_ERR(token->mem) == -ENOTCONN ? -KVM_ENOENT : -KVM_ENOMEM;
		kfree(token);
		return r;
	}
	token->writable = kvmi_mem_is_allowed(kvmi, true);
	get_random_bytes(&token->token, sizeof(token->token));
	token->expires = jiffies + KVMI_MAP_TOKEN_SECONDS * HZ;
	rpl->token = token->token;

	spin_lock(&kvmi_tokens_lock);
	kvmi_tokens_expire(&gone);
	if (token->mem->nr_tokens < KVMI_MAX_MAP_TOKENS) {
		token->mem->nr_tokens++;
		list_add_tail(&token->node, &kvmi_tokens);
	} else {
		list_add(&token->node, &gone);
		r = -KVM_EAGAIN;
	}
	spin_unlock(&kvmi_tokens_lock);

	kvmi_tokens_free(&gone);
	return r;
}

/*
 * What @value is for, with a reference, and whether it may be written. NULL if it is no
 * token (any more). It cannot be used again.
 */
struct kvmi_mem *kvmi_token_take(const struct kvmi_map_mem_token *value,
				 bool *writable)
{
	struct kvmi_token *token, *next;
	struct kvmi_mem *mem = NULL;
	LIST_HEAD(gone);

	spin_lock(&kvmi_tokens_lock);
	kvmi_tokens_expire(&gone);
	list_for_each_entry_safe(token, next, &kvmi_tokens, node) {
		if (crypto_memneq(&token->token, value, sizeof(*value)))
			continue;
		mem = token->mem;
		refcount_inc(&mem->refs);
		*writable = token->writable;
		kvmi_token_unlink(token, &gone);
		break;
	}
	spin_unlock(&kvmi_tokens_lock);

	kvmi_tokens_free(&gone);
	return mem;
}

/* When no more can be made. */
void kvmi_tokens_drop(struct kvmi_mem *mem)
{
	struct kvmi_token *token, *next;
	LIST_HEAD(gone);

	spin_lock(&kvmi_tokens_lock);
	list_for_each_entry_safe(token, next, &kvmi_tokens, node)
		if (token->mem == mem)
			kvmi_token_unlink(token, &gone);
	spin_unlock(&kvmi_tokens_lock);

	kvmi_tokens_free(&gone);
}
