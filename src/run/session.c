/*
 * session.c - starts the command and waits for it. Nothing is managed here:
 * a placeholder behind session.h with the exit statuses and the report.
 */
#include "run/session.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "run/report.h"

int sw_session_run(const struct sw_run_options *opt)
{
	struct sw_report report = { .argv = opt->argv,
				    .budget_bytes = opt->budget_bytes };
	uint64_t start_ns = sw_now_ns();
	struct rusage ru;
	int status;
	pid_t pid;

	pid = fork();
	if (pid < 0) {
		sw_error("cannot start a process: %s", strerror(errno));
		return SW_EXIT_FAILURE;
	}
	if (!pid) {
		execvp(opt->argv[0], opt->argv);
		sw_error("%s: %s", opt->argv[0], strerror(errno));
		_exit(errno == ENOENT ? SW_EXIT_NOT_FOUND : SW_EXIT_CANNOT_RUN);
	}
	while (wait4(pid, &status, 0, &ru) < 0 && errno == EINTR)
		;
	report.exit_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status)
						 : WEXITSTATUS(status);
	report.peak_bytes = (uint64_t)ru.ru_maxrss * 1024;
	report.wall_seconds = (double)(sw_now_ns() - start_ns) / 1e9;
	report.command_seconds =
		ru.ru_utime.tv_sec + ru.ru_stime.tv_sec +
		1e-6 * (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec);
	if (opt->verbose)
		sw_report_print(&report, stderr);
	if (opt->report_path && sw_report_write(&report, opt->report_path))
		return report.exit_status ? report.exit_status
					  : SW_EXIT_FAILURE;
	return report.exit_status;
}
