// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Copying from and to memory that can vanish at any time. SIGBUS has one handler in a
 * process: it is the library's as long as any thread copies.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

#include "mapping.h"

struct guard {
	uintptr_t begin, end;
	volatile uintptr_t fault;
	sigjmp_buf out;
};

/* A thread that never copied has no such variable to be allocated by the handler. */
static __thread struct guard *volatile guard
	__attribute__((tls_model("initial-exec")));

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int copying;
static struct sigaction before;

static void pass_on(int sig, siginfo_t *info, void *context)
{
	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(sig, info, context);
	} else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		before.sa_handler(sig);
	} else if (before.sa_handler == SIG_DFL || info->si_code > 0) {
		/* It comes again: by the same access, or from here. */
		signal(sig, SIG_DFL);
		if (info->si_code <= 0)
			raise(sig);
	}
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	const uintptr_t at = (uintptr_t)info->si_addr;
	struct guard *g = guard;

	if (info->si_code > 0 && g && at >= (g->begin & ~PAGE_MASK) && at < g->end) {
		g->fault = at < g->begin ? g->begin : at;
		siglongjmp(g->out, 1);
	}
	pass_on(sig, info, context);
}

/* The handler looks at what was there before, so that is filled in first. */
static void begin(void)
{
	struct sigaction action = {
		.sa_sigaction = on_sigbus,
		/* NODEFER: jumping out leaves the mask as it was. */
		.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK,
	};

	pthread_mutex_lock(&lock);
	if (!copying++) {
		sigaction(SIGBUS, NULL, &before);
		sigaction(SIGBUS, &action, NULL);
	}
	pthread_mutex_unlock(&lock);
}

static void end(void)
{
	struct sigaction now;

	pthread_mutex_lock(&lock);
	if (!--copying) {
		sigaction(SIGBUS, NULL, &now);
		if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_sigbus)
			sigaction(SIGBUS, &before, NULL);
	}
	pthread_mutex_unlock(&lock);
}

/* What jumps out of this has set g->fault. */
static void copy(struct guard *g, void *to, const void *from, size_t size)
{
	if (sigsetjmp(g->out, 0))
		return;
	guard = g;
	__asm__ volatile("" ::: "memory");
	memcpy(to, from, size);
	__asm__ volatile("" ::: "memory");
}

/*
 * @mapped is @to or @from. Returns @size, or how far from @mapped the address is that
 * could not be accessed: what lies before it need not have been copied.
 */
size_t kvmintro__guard_copy(void *to, const void *from, size_t size, const void *mapped)
{
	struct guard g = { .begin = (uintptr_t)mapped, .end = (uintptr_t)mapped + size };

	begin();
	copy(&g, to, from, size);
	guard = NULL;
	end();
	return g.fault ? g.fault - g.begin : size;
}
