/*
 * The first process of a container started with --init: runs the command, hands on every signal it gets, reaps
 * orphans, and ends as the command ended (128+n after signal n). Usage: wharf-init [--] command [arguments]
 *
 * Signals are taken by sigtimedwait(2) with all of them blocked, so none is lost between a look and a wait. The
 * command gets a process group of its own, and the terminal where there is one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Signals that mean this process itself, not its child. */
static const int own_signals[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU};

static _Noreturn void die(const char *what, int code)
{
	fprintf(stderr, "[FATAL init] %s: %s\n", what, strerror(errno));
	_exit(code);
}

static pid_t start(char **command, const sigset_t *before)
{
	pid_t child = fork();
	if (child < 0)
		die("fork", 1);
	if (child > 0)
		return child;
	if (setpgid(0, 0) < 0)
		die("setpgid", 1);
	/* Blocked SIGTTOU lets a background group take the terminal; no terminal is fine. */
	tcsetpgrp(STDIN_FILENO, getpgrp());
	sigprocmask(SIG_SETMASK, before, NULL);
	signal(SIGTTIN, SIG_DFL);
	signal(SIGTTOU, SIG_DFL);
	execvp(command[0], command);
	int code = errno == ENOENT ? 127 : 126;
	fprintf(stderr, "[FATAL init] exec %s failed: %s\n", command[0], strerror(errno));
	_exit(code);
}

/* Reaps all that have ended; the exit code once the command is among them, else -1. */
static int reap(pid_t child)
{
	int code = -1;
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);
		if (pid == 0 || (pid < 0 && errno == ECHILD))
			return code;
		if (pid < 0)
			die("waitpid", 1);
		if (pid == child)
			code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

int main(int argc, char **argv)
{
	int first = argc > 1 && strcmp(argv[1], "--") == 0 ? 2 : 1;
	if (first >= argc) {
		fprintf(stderr, "usage: %s [--] command [arguments]\n", argv[0]);
		return 1;
	}
	sigset_t waited, before;
	sigfillset(&waited);
	for (size_t i = 0; i < sizeof(own_signals) / sizeof(*own_signals); i++)
		sigdelset(&waited, own_signals[i]);
	signal(SIGTTIN, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
	if (sigprocmask(SIG_SETMASK, &waited, &before) < 0)
		die("sigprocmask", 1);
	pid_t child = start(argv + first, &before);
	for (;;) {
		siginfo_t info;
		if (sigwaitinfo(&waited, &info) < 0) {
			if (errno == EINTR)
				continue;
			die("sigwaitinfo", 1);
		}
		if (info.si_signo != SIGCHLD) {
			/* The command may be gone already; its SIGCHLD is on its way then. */
			if (kill(child, info.si_signo) < 0 && errno != ESRCH)
				die("kill", 1);
			continue;
		}
		int code = reap(child);
		if (code >= 0)
			return code;
	}
}
