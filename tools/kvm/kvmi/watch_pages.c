// SPDX-License-Identifier: GPL-2.0-only
/* kvmi watch: which pages are restricted how, and that in the kernel. */
#include <stdlib.h>

#include "watch.h"

/* What would otherwise fail later. */
static int check(struct watch *w)
{
	struct kvmintro *k = w->f.cli->k;
	uint32_t version;
	int r = kvmintro_get_version(k, &version, &w->features);

	if (!r && !(w->features.page_access & KVMI_PAGE_ACCESS_RESTRICTED)) {
		out_error("watch: this host cannot restrict what the guest does with its pages");
		return CLI_FAILED;
	}
	if (!r)
		r = kvmintro_check_command(k, KVMI_VM_SET_PAGE_ACCESS_RANGES);
	if (!r)
		r = kvmintro_check_event(k, KVMI_VCPU_EVENT_PF);
	if (!r)
		r = kvmintro_get_vcpu_count(k, &w->vcpus);
	return r < 0 ? out_failed(w->f.cli, "watch") : CLI_OK;
}

/* What is left of a page while @access is watched. */
static uint8_t remaining(uint8_t access)
{
	return KVMINTRO_PAGE_ACCESS_ALL & ~access;
}

/* As much as this host can watch. */
static uint8_t most(const struct watch *w)
{
	static const uint8_t some[] = {
		KVMINTRO_PAGE_ACCESS_ALL,
		KVMI_PAGE_ACCESS_R | KVMI_PAGE_ACCESS_W,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(some); i++) {
		if (kvmintro_page_access_possible(&w->features, remaining(some[i])))
			return some[i];
	}
	return KVMI_PAGE_ACCESS_W | KVMI_PAGE_ACCESS_X;
}

/* A range of virtual addresses lies in memory page by page. */
static int translate(struct watch *w, const struct watch_range *v,
		     struct watch_list *physical)
{
	uint64_t gva = v->first, gpa, last;

	for (;;) {
		last = gva | (KVMINTRO_PAGE_SIZE - 1);
		if (last > v->last)
			last = v->last;
		if (kvmintro_translate(w->f.cli->k, w->f.vcpu, gva, &gpa) < 0)
			return out_failed(w->f.cli, "watch");
		if (watch_add(physical, gpa, gpa + (last - gva), v->access))
			return CLI_FAILED;
		if (last == v->last)
			return CLI_OK;
		gva = last + 1;
	}
}

int watch_prepare(struct watch *w)
{
	struct watch_list physical = { 0 };
	struct watch_range range;
	int r = check(w);
	size_t i;

	for (i = 0; !r && i < w->asked.count; i++) {
		range = w->asked.ranges[i];
		if (!range.access)
			range.access = most(w);
		if (w->virtual)
			r = translate(w, &range, &physical);
		else
			r = watch_add(&physical, range.first, range.last, range.access);
	}
	if (!r)
		r = watch_map(&physical, 1, &w->bytes);
	if (!r)
		r = watch_map(&physical, KVMINTRO_PAGE_SIZE, &w->pages);
	watch_list_free(&physical);
	if (r)
		return r;
	w->ranges = calloc(w->pages.count, sizeof(*w->ranges));
	if (!w->ranges) {
		out_error("out of memory");
		return CLI_FAILED;
	}
	return CLI_OK;
}

int watch_restrict(struct watch *w, bool on)
{
	const struct watch_range *p;
	size_t i;

	for (i = 0; i < w->pages.count; i++) {
		p = &w->pages.ranges[i];
		w->ranges[i] = (struct kvmintro_range){
			.gpa = p->first,
			.size = p->last - p->first + 1,
			.access = on ? remaining(p->access) : KVMINTRO_PAGE_ACCESS_ALL,
		};
	}
	return kvmintro_restrict(w->f.cli->k, w->ranges, w->pages.count);
}

int watch_refused(struct watch *w)
{
	const struct watch_range *p = w->pages.ranges;
	const char *why;
	char letters[4];
	size_t i;

	for (i = 0; i < w->pages.count; i++, p++) {
		if (!kvmintro_page_access_possible(&w->features, remaining(p->access)))
			break;
	}
	if (i == w->pages.count)
		return out_failed(w->f.cli, "watch");
	trace_access(p->access, letters);
	if (remaining(p->access))
		why = "has no pages that can be executed but not read; try rwx, wx, w or x";
	else
		why = "has no pages without any access; try wx, w or x";
	out_error("watch: just %s, as from 0x%llx: this host's processor %s", letters,
		  (unsigned long long)p->first, why);
	return CLI_FAILED;
}
