// SPDX-License-Identifier: GPL-2.0-only
/* The threads of the introspection tests: those that run vCPUs, and calls that may hang. */
#include <dirent.h>
#include <signal.h>

#include "kvmi_test_util.h"

/* --- what does not come to an end --- */

static void show_file(const char *dir, const char *file)
{
	char path[PATH_MAX], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		printf("#   %s: %s%s", file, line, strchr(line, '\n') ? "" : "\n");
	if (f)
		fclose(f);
}

/* What each thread runs or waits for. */
static void show_threads(void)
{
	const char *tasks = "/proc/self/task";
	struct dirent *d;
	char path[PATH_MAX];
	DIR *dir = opendir(tasks);

	while (dir && (d = readdir(dir))) {
		if (*d->d_name == '.')
			continue;
		printf("# thread %s:\n", d->d_name);
		snprintf(path, sizeof(path), "%s/%s", tasks, d->d_name);
		show_file(path, "stat");
		show_file(path, "syscall");
		show_file(path, "stack");
	}
	if (dir)
		closedir(dir);
	fflush(stdout);
}

void kvmi_timeout(const char *fmt, ...)
{
	char what[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	show_threads();
	TEST_FAIL("timeout: %s", what);
}

/* --- calls that may hang --- */

struct call {
	void (*fn)(void *arg);
	void *arg;
};

static void *call_fn(void *arg)
{
	struct call *c = arg;

	c->fn(c->arg);
	return NULL;
}

static int join_in_time(pthread_t thread)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += KVMI_TIMEOUT_MS / 1000;
	return pthread_timedjoin_np(thread, NULL, &ts);
}

void kvmi_must_return(void (*fn)(void *arg), void *arg, const char *what)
{
	struct call c = { fn, arg };
	pthread_t thread;

	TEST_ASSERT(!pthread_create(&thread, NULL, call_fn, &c), "pthread_create() failed");
	if (join_in_time(thread))
		kvmi_timeout("%s does not return", what);
}

/* --- the thread that runs a vCPU --- */

static __thread struct kvmi_worker *this_worker;

/* A signal that comes just before KVM_RUN must not get lost. */
static void on_kick(int sig)
{
	if (!this_worker)
		return;
	WRITE_ONCE(this_worker->vcpu->run->immediate_exit, 1);
	WRITE_ONCE(this_worker->kicks_taken, this_worker->kicks_taken + 1);
}

static void at_ucall(struct kvmi_worker *w)
{
	struct ucall uc;

	switch (get_ucall(w->vcpu, &uc)) {
	case UCALL_SYNC:
		w->sync = uc.args[0];
		w->at_sync = true;
		pthread_cond_broadcast(&w->cond);
		while (w->at_sync && !w->stop)
			pthread_cond_wait(&w->cond, &w->lock);
		break;
	case UCALL_PRINTF:
		REPORT_GUEST_PRINTF(uc);
		break;
	case UCALL_ABORT:
		REPORT_GUEST_ASSERT(uc);
		break;
	default:
		w->ended = true;
	}
}

/* Not all tests expect it: those that do not would wait for the vCPU in vain. */
static void show_exit(const struct kvm_vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;

	printf("# vCPU %u: exit reason %u (%s)", vcpu->id, run->exit_reason,
	       exit_reason_str(run->exit_reason));
	if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR) {
		printf(", suberror %u:", run->internal.suberror);
		for (__u32 i = 0; i < run->internal.ndata; i++)
			printf(" 0x%llx", run->internal.data[i]);
	}
	printf("\n");
	fflush(stdout);
}

static void *worker_fn(void *arg)
{
	struct kvmi_worker *w = arg;
	struct kvm_run *run = w->vcpu->run;
	int r, err;

	this_worker = w;
	WRITE_ONCE(w->tid, gettid());
	while (true) {
		/* A signal that came before this_worker was set. */
		if (READ_ONCE(w->stop))
			WRITE_ONCE(run->immediate_exit, 1);
		r = __vcpu_run(w->vcpu);
		err = errno;
		pthread_mutex_lock(&w->lock);
		/* The handler sets it before w->stop can be seen here, or after. */
		WRITE_ONCE(run->immediate_exit, 0);
		__sync_synchronize();
		if (r && err == EINTR) {
			w->interrupted++;
		} else if (r && err == EAGAIN) {
			/* A vCPU that waits for its start-up interrupt. */
		} else if (r) {
			TEST_FAIL("KVM_RUN failed: %s", strerror(err));
		} else if (run->exit_reason == KVM_EXIT_IO) {
			at_ucall(w);
		} else if (run->exit_reason == KVM_EXIT_DIRTY_RING_FULL) {
			/* Until the test empties the ring; commands are served. */
		} else {
			w->exit_reason = run->exit_reason;
			w->ended = true;
			show_exit(w->vcpu);
		}
		pthread_cond_broadcast(&w->cond);
		if (w->ended || w->stop)
			break;
		pthread_mutex_unlock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	this_worker = NULL;
	return NULL;
}

void kvmi_worker_start(struct kvmi_worker *w, struct kvm_vcpu *vcpu)
{
	struct sigaction sa = { .sa_handler = on_kick };

	TEST_ASSERT(!w->running, "the vCPU has a thread already");
	TEST_ASSERT(!sigaction(SIGUSR1, &sa, NULL), "sigaction() failed");
	memset(w, 0, sizeof(*w));
	w->vcpu = vcpu;
	w->running = true;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->cond, NULL);
	TEST_ASSERT(!pthread_create(&w->thread, NULL, worker_fn, w), "pthread_create() failed");
}

void kvmi_worker_kick(struct kvmi_worker *w)
{
	w->kicks++;
	pthread_kill(w->thread, SIGUSR1);
}

bool kvmi_worker_is_kicked(const struct kvmi_worker *w)
{
	return READ_ONCE(w->kicks_taken) != w->kicks;
}

void kvmi_worker_stop(struct kvmi_worker *w)
{
	if (!w->running)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->cond);
	pthread_mutex_unlock(&w->lock);
	kvmi_worker_kick(w);
	if (join_in_time(w->thread))
		kvmi_timeout("the vCPU's thread does not leave KVM_RUN on a signal");
	w->running = false;
	w->stop = false;
	w->at_sync = false;
}

/* Wait under w->lock for something that the worker announces. */
static void worker_wait(struct kvmi_worker *w, bool *cond, const char *what)
{
	struct timespec ts;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += KVMI_TIMEOUT_MS / 1000;
	while (!*cond && !r)
		r = pthread_cond_timedwait(&w->cond, &w->lock, &ts);
	if (!*cond)
		kvmi_timeout("%s", what);
}

__u64 kvmi_worker_wait_sync(struct kvmi_worker *w)
{
	__u64 sync;

	pthread_mutex_lock(&w->lock);
	worker_wait(w, &w->at_sync, "the guest does not reach its next GUEST_SYNC");
	sync = w->sync;
	pthread_mutex_unlock(&w->lock);
	return sync;
}

void kvmi_worker_go(struct kvmi_worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->at_sync = false;
	pthread_cond_broadcast(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

__u32 kvmi_worker_wait_end(struct kvmi_worker *w)
{
	pthread_mutex_lock(&w->lock);
	worker_wait(w, &w->ended, "the vCPU does not stop");
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	w->running = false;
	return w->exit_reason;
}
