/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_PF_RANDOM_AREA_H
#define SELFTEST_KVMI_PF_RANDOM_AREA_H

/* Restrictions at random: what is in memory at first, and which pages there are. */
#include "kvmi_pf_random_guest.h"
#include "kvmi_pf_random_tool.h"

static inline void add_page(struct random_tool *r, __u64 gpa, enum page_kind kind)
{
	TEST_ASSERT(r->nr_pages < MAX_PAGES, "too many pages");
	if (!find_page(r, gpa))
		r->page[r->nr_pages++] = (struct page) {
			.gpa = gpa & ~(PAGE - 1), .kind = kind, .now = ACCESS_RWX,
		};
}

static inline __u64 *entry_of(struct kvmi_test *t, __u64 gva, int level, __u64 *table)
{
	__u64 *e;

	*table = t->vm->pgd;
	for (int l = 4; ; l--) {
		e = (__u64 *)addr_gpa2hva(t->vm, *table) + (gva >> (3 + 9 * l) & 511);
		if (l == level)
			return e;
		*table = PTE_GET_PA(*e);
	}
}

static inline void add_tables(struct random_tool *r, __u64 gva)
{
	__u64 table;

	for (int l = 1; l <= 4; l++) {
		entry_of(r->t, gva, l, &table);
		add_page(r, table, TABLE);
	}
}

static inline void add_windows(struct random_tool *r)
{
	__u64 frame, table;

	for (int v = 0; v < VCPUS; v++) {
		for (int i = 0; i < 2; i++) {
			frame = r->area.gpa + (v * OWN_PAGES + OWN_FRAMES + i) * PAGE;
			virt_pg_map(r->t->vm, WINDOW_GVA + (2 * v + i) * PAGE, frame);
		}
		r->guest[v]->windows = WINDOW_GVA + 2 * v * PAGE;
		r->guest[v]->entries = ENTRIES_GVA +
				       8 * (r->guest[v]->windows >> 12 & 511);
	}
	entry_of(r->t, WINDOW_GVA, 1, &table);
	virt_pg_map(r->t->vm, ENTRIES_GVA, table);
	add_page(r, table, ENTRIES);
}

static inline void fill_area(struct random_tool *r)
{
	__u8 *hva = r->area.hva, *own;

	memset(hva, 0, AREA_PAGES * PAGE);
	for (int i = 0; i < (r->can_step ? NR_FUNCTIONS : NR_FUNCTIONS / 2); i++)
		memcpy(hva + CODE * PAGE + random_functions[i].offset, random_functions[i].begin,
		       random_functions[i].end - random_functions[i].begin);
	for (int i = 0; i < PAGE / 8; i++)
		((__u64 *)(hva + ORACLE * PAGE))[i] = ORACLE_MEMORY(i);
	for (int v = 0; v < VCPUS; v++) {
		own = hva + v * OWN_PAGES * PAGE;
		for (int i = 0; i < MIRRORED * PAGE; i++)
			own[i] = next_random(&r->state);
		memcpy(r->mirror[v].hva, own, MIRRORED * PAGE);
		for (int i = 0; i < 8; i++) {
			memcpy(own + OWN_CODE * PAGE + PATCHED(i), "\x48\xb8", 2);
			own[OWN_CODE * PAGE + PATCHED(i) + 10] = 0xc3;
		}
		for (int i = 0; i < 2; i++) {
			__u32 *frame = (__u32 *)(own + (OWN_FRAMES + i) * PAGE);

			frame[0] = FRAME_EDGE(i);
			frame[PAGE / 4 - 1] = FRAME_EDGE(i);
		}
	}
}

static inline void prepare_guest(struct random_tool *r, int v)
{
	__u64 gva = (__u64)&random_guests[v];
	struct random_guest *g = addr_gva2hva(r->t->vm, gva);

	memset(g, 0, sizeof(*g));
	r->guest[v] = g;
	g->vcpu = v;
	g->state = next_random(&r->state);
	g->area = r->area.gva;
	g->own = r->area.gva + v * OWN_PAGES * PAGE;
	g->mirror = r->mirror[v].gva;
	g->nr_kinds = r->can_step ? ARRAY_SIZE(random_ops) : PLAIN;
	g->frame[1] = 1;
	for (int i = 0; i < NR_FUNCTIONS; i++)
		g->function[i] = r->area.gva + CODE * PAGE + random_functions[i].offset;
	r->t->guest[v]->val[0] = gva;
}

static inline void list_accesses(struct random_tool *r, __u8 features)
{
	static const __u8 always[] = { ACCESS_R, ACCESS_RX, ACCESS_RW, ACCESS_RWX, ACCESS_RWX };

	for (int i = 0; i < ARRAY_SIZE(always); i++)
		r->access[r->nr_accesses++] = always[i];
	if (features & KVMI_PAGE_ACCESS_NONE)
		r->access[r->nr_accesses++] = 0;
	if (features & KVMI_PAGE_ACCESS_EXEC_ONLY)
		r->access[r->nr_accesses++] = ACCESS_X;
}

/* To be NULL when nothing is wrong. */
static const struct random_tool *unfinished_tool;

static void at_exit(void)
{
	if (unfinished_tool)
		print_notes(unfinished_tool);
}

static inline void set_up(struct random_tool *r, struct kvmi_test *t)
{
	r->t = t;
	r->can_step = can_step(t);
	list_accesses(r, pf_features(t));
	r->area = add_area(t, AREA_PAGES);
	for (int v = 0; v < VCPUS; v++)
		r->mirror[v] = add_area(t, MIRRORED);
	for (int v = 0; v < VCPUS; v++)
		prepare_guest(r, v);
	for (int i = 0; i < AREA_PAGES; i++)
		add_page(r, r->area.gpa + i * PAGE, AREA);
	add_windows(r);
	add_tables(r, r->area.gva);
	add_tables(r, WINDOW_GVA);
	add_tables(r, ENTRIES_GVA);
	add_page(r, addr_gva2gpa(t->vm, t->vm->arch.gdt), SEGMENT);
	if (r->can_step)
		add_page(r, addr_gva2gpa(t->vm, t->vm->arch.idt), SEGMENT);
	fill_area(r);
	vm_install_exception_handler(t->vm, UD_VECTOR, on_trap);
	vm_install_exception_handler(t->vm, BP_VECTOR, on_trap);
	unfinished_tool = r;
	TEST_ASSERT(!atexit(at_exit), "atexit() failed");
}

#endif /* SELFTEST_KVMI_PF_RANDOM_AREA_H */
