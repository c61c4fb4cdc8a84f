/* This machine: data directory, one synced write, space, clock, name, certificate. */
#include "cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <unistd.h>

#include "dns/dns.h"
#include "os/os.h"
#include "tls/tls.h"

#define SYNCS 5

/* Median of a few synced writes of 4 KiB: what each 250 waits for at least. */
static bool time_syncs(const char *path, uint64_t *out_us)
{
	static unsigned char page[4096];
	uint64_t took[SYNCS];
	struct os *os = os_real();
	int fd = os_open(os, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool is_good = fd >= 0;

	if (fd < 0)
		return false;
	for (unsigned i = 0; i < SYNCS && is_good; i++) {
		struct iovec part = {page, sizeof page};
		uint64_t began = os_mono_us(os);
		size_t at = i;

		is_good =
			os_write_all(os, fd, &part, 1, i * sizeof page) && os_datasync(os, fd) == 0;
		for (uint64_t us = os_mono_us(os) - began; at && took[at - 1] > us; at--)
			took[at] = took[at - 1];
		took[at] = os_mono_us(os) - began;
	}
	(void)os_close(os, fd);
	(void)os_unlink(os, path);
	if (is_good)
		*out_us = took[SYNCS / 2];
	return is_good;
}

static void check_sync(struct doctor *d)
{
	const char *path = doctor_text(d, "%s/.doctor-%d", d->data, (int)getpid());
	uint64_t us;

	if (!time_syncs(path, &us)) {
		doctor_say(d, DOCTOR_BAD, "disk", "check its permissions and the disk",
			   "cannot write and sync in %s: %s", d->data, strerror(errno));
		return;
	}
	if (us > 50000)
		doctor_say(d, DOCTOR_WARN, "disk",
			   "a disk of its own, or one with a protected cache, would help",
			   "a synced write takes %.1f ms: mail is taken slowly", (double)us / 1000);
	else
		doctor_say(d, DOCTOR_GOOD, "disk", "", "a synced write takes %.1f ms",
			   (double)us / 1000);
}

static void check_data(struct doctor *d)
{
	struct stat st;

	if (stat(d->data, &st) < 0) {
		doctor_say(d, DOCTOR_NOTE, "data", "",
			   "%s is not there yet; `holdfast run` makes it", d->data);
		return;
	}
	if (st.st_mode & S_IRWXO)
		doctor_say(d, DOCTOR_BAD, "data", doctor_text(d, "chmod o-rwx %s", d->data),
			   "%s is open to every user (mode %04o)", d->data, st.st_mode & 07777u);
	else
		doctor_say(d, DOCTOR_GOOD, "data", "", "%s, mode %04o", d->data,
			   st.st_mode & 07777u);
	check_sync(d);
}

static void check_space(struct doctor *d)
{
	uint64_t reserve = d->config.limits.reserve_bytes, free_bytes;
	struct term_text a, b;

	if (os_free_bytes(os_real(), d->data, &free_bytes) < 0)
		return;
	if (free_bytes < reserve)
		doctor_say(d, DOCTOR_BAD, "space", "make room, or lower limits.reserve",
			   "%s free is below the reserve of %s: new mail is refused with 452",
			   term_size(&a, free_bytes), term_size(&b, reserve));
	else if (free_bytes < 4 * reserve)
		doctor_say(d, DOCTOR_WARN, "space", "a long outage may fill it",
			   "%s free, reserve %s", term_size(&a, free_bytes),
			   term_size(&b, reserve));
	else
		doctor_say(d, DOCTOR_GOOD, "space", "", "%s free, reserve %s",
			   term_size(&a, free_bytes), term_size(&b, reserve));
}

static void check_clock(struct doctor *d)
{
	struct timex t = {0};
	int state = adjtimex(&t);

	if (os_wall_us(os_real()) < 1700000000000000ull)
		doctor_say(d, DOCTOR_BAD, "clock", "set it, and run a time service",
			   "the clock is years behind");
	else if (state == TIME_ERROR || (state >= 0 && (t.status & STA_UNSYNC)))
		doctor_say(d, DOCTOR_NOTE, "clock", "install chrony or systemd-timesyncd",
			   "nothing says that the clock is synchronised");
	else
		doctor_say(d, DOCTOR_GOOD, "clock", "", "synchronised");
}

static void check_name(struct doctor *d)
{
	const char *node = doctor_text(d, "%.*s", SPAN_FMT(d->config.node));
	struct doctor_records a, aaaa;

	doctor_ask(d, node, DNS_A, &a);
	doctor_ask(d, node, DNS_AAAA, &aaaa);
	d->dns_is_away = a.rc == LATER && aaaa.rc == LATER;
	if (d->dns_is_away)
		doctor_say(d, DOCTOR_BAD, "dns", "check dns.server or /etc/resolv.conf",
			   "no answer from the name server: primaries cannot be found by name");
	else if (!a.n && !aaaa.n)
		doctor_say(d, DOCTOR_WARN, "dns",
			   "publish an A or AAAA record for it, and a PTR record back",
			   "the name %s has no address", node);
	else
		doctor_say(d, DOCTOR_GOOD, "dns", "", "answers; %s has %zu address%s", node,
			   a.n + aaaa.n, a.n + aaaa.n == 1 ? "" : "es");
}

static void check_certificate(struct doctor *d)
{
	struct tls_context *tls = NULL;
	struct fault why = {0};
	int64_t days;

	if (!d->config.tls_certificate.n) {
		doctor_say(d, DOCTOR_NOTE, "tls",
			   "name one under `tls` if senders shall be able to check it",
			   "no certificate is configured: Holdfast makes a self-signed one, which "
			   "is fine for mail");
		return;
	}
	if (tls_server_new(doctor_text(d, "%.*s", SPAN_FMT(d->config.tls_certificate)),
			   doctor_text(d, "%.*s", SPAN_FMT(d->config.tls_key)), "smtp", &tls,
			   &why) != OK) {
		doctor_say(d, DOCTOR_BAD, "tls", "", "%s", why.text);
		return;
	}
	if (tls_context_is_current(tls, &why) != OK) {
		doctor_say(d, DOCTOR_BAD, "tls", "renew it now", "%s", why.text);
		tls_context_unref(tls);
		return;
	}
	days = (tls_context_not_after(tls) - (int64_t)(os_wall_us(os_real()) / 1000000)) / 86400;
	if (days < 14)
		doctor_say(d, DOCTOR_WARN, "tls", "renew it now",
			   "the certificate ends in %lld days", (long long)days);
	else
		doctor_say(d, DOCTOR_GOOD, "tls", "", "the certificate is good for %lld days",
			   (long long)days);
	tls_context_unref(tls);
}

void doctor_local(struct doctor *d)
{
	doctor_say(d, DOCTOR_GOOD, "configuration", "", "%s is good", d->c->config_path);
	check_data(d);
	check_space(d);
	check_clock(d);
	check_certificate(d);
	check_name(d);
}
