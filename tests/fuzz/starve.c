/*
 * K-04: every allocation of our own code fails, one after another, once and for ever, while a fuzz target's corpus is read:
 * all parsers of foreign bytes. Each try runs in a process of its own; the linker leads malloc and its kin here (--wrap).
 *
 * What may be seen: the target's ordinary end; or abort(), by must() or by the target's own checks (a refusal for want of
 * memory is another answer than before). An own small allocation that fails ends the process by design, and the supervisor
 * starts the role again. What may not be seen: any other signal, and under the sanitizers a report, a leak among them.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *text);

enum { TRIES = 4000, SOAK_TRIES = 1000000, INPUT_BYTES = 1 << 20 };

static struct {
	uint64_t calls;
	uint64_t fail_at; /* 0: never */
	int for_ever;
} plan;

static int fails(void)
{
	plan.calls++;
	if (!plan.fail_at || plan.calls < plan.fail_at ||
	    (plan.calls > plan.fail_at && !plan.for_ever))
		return 0;
	errno = ENOMEM;
	return 1;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

static uint8_t input[INPUT_BYTES];

static size_t load(const char *path)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f)
		return 0;
	n = fread(input, 1, sizeof input, f);
	(void)fclose(f);
	return n;
}

/* The child's wait status; *calls: how many allocations it made. stderr is said_fd in it. */
static int try_one(size_t n, uint64_t fail_at, int for_ever, uint64_t *calls, int said_fd)
{
	pid_t pid;
	int status = -1;

	*calls = 0;
	pid = fork();
	if (pid == 0) {
		(void)dup2(said_fd, STDERR_FILENO);
		plan.fail_at = fail_at;
		plan.for_ever = for_ever;
		(void)LLVMFuzzerTestOneInput(input, n);
		*calls = plan.calls;
		plan.fail_at = 0;
		exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

/* 0: as it may be. What the child said is printed otherwise. */
static int judge(int status, int said_fd, const char *path, uint64_t fail_at, int for_ever)
{
	char said[8192];
	ssize_t n = pread(said_fd, said, sizeof said - 1, 0);
	int good;

	said[n > 0 ? n : 0] = '\0';
	good = !strstr(said, "Sanitizer") && !strstr(said, "runtime error") &&
	       ((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
		(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT));
	if (!good)
		(void)printf("%s: allocation %llu fails%s: status %x\n%s\n", path,
			     (unsigned long long)fail_at, for_ever ? " and all later" : "", status,
			     said);
	return good ? 0 : 1;
}

static int said_anew(int said_fd)
{
	if (ftruncate(said_fd, 0) < 0 || lseek(said_fd, 0, SEEK_SET) < 0)
		return -1;
	return said_fd;
}

/* Tries at most `most` allocations of this input, spread over all it makes. */
static int starve(const char *path, uint64_t most, uint64_t *calls, int said_fd, uint64_t *tries)
{
	size_t n = load(path);
	uint64_t in_all, step;
	int bad;

	bad = judge(try_one(n, 0, 0, calls, said_anew(said_fd)), said_fd, path, 0, 0);
	in_all = *calls;
	step = in_all / most + 1;
	for (uint64_t at = 1; at <= in_all; at += step)
		for (int for_ever = 0; for_ever < 2; for_ever++) {
			bad += judge(try_one(n, at, for_ever, calls, said_anew(said_fd)), said_fd,
				     path, at, for_ever);
			++*tries;
		}
	return bad;
}

int main(int argc, char **argv)
{
	const char *soak = getenv("HOLDFAST_SOAK");
	uint64_t most = soak && *soak == '1' ? SOAK_TRIES : TRIES, tries = 0, *calls;
	int n, bad = 0, said_fd = memfd_create("said", MFD_CLOEXEC);
	struct dirent **names = NULL;
	char path[4096];

	calls = mmap(NULL, sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (argc != 2 || said_fd < 0 || calls == MAP_FAILED ||
	    (n = scandir(argv[1], &names, NULL, alphasort)) < 1) {
		(void)fprintf(stderr, "usage: %s CORPUS-FOLDER (must exist)\n", argv[0]);
		return 2;
	}
	for (int i = 0; i < n; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", argv[1], names[i]->d_name);
		if (names[i]->d_name[0] != '.')
			bad += starve(path, most / (uint64_t)n + 1, calls, said_fd, &tries);
		free(names[i]);
	}
	free(names);
	(void)printf("%llu tries, %d bad\n", (unsigned long long)tries, bad);
	return bad == 0 ? 0 : 1;
}
