/*
 * command_of.c - what a process was called with, for people to read. It is the
 * process that says this, and it may say anything: what would steer a terminal,
 * or is no UTF-8, becomes question marks.
 *
 * Above: listing.c. Below: /proc.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "run/proc.h"

/* How many bytes the character at `s` has; 0: it is none, or none to be shown,
 * as controls of a terminal are. */
static unsigned utf8_length(const unsigned char *s, size_t left)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned len = *s < 0x80   ? 1
		       : *s < 0xc2 ? 0
		       : *s < 0xe0 ? 2
		       : *s < 0xf0 ? 3
		       : *s < 0xf5 ? 4
				   : 0;
	uint32_t code;

	if (len <= 1)
		return len && *s >= ' ' && *s != 0x7f;
	if (len > left)
		return 0;
	code = *s & (0x7f >> len);
	for (unsigned i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (code < least[len] || code > 0x10ffff ||
	    (code >= 0xd800 && code < 0xe000) || code < 0xa0)
		return 0;
	return len;
}

void sw_make_readable(char *text)
{
	unsigned char *at = (unsigned char *)text;
	size_t left = strlen(text);

	while (left) {
		unsigned len = utf8_length(at, left);

		if (!len)
			*at = '?';
		len = sw_max(len, 1u);
		at += len;
		left -= len;
	}
}

/* The end of a text that was cut may be half a character. */
static size_t whole_characters(const char *text, size_t len)
{
	size_t start = len;

	while (start && len - start < 4 && (text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start && (text[start - 1] & 0xc0) == 0xc0 &&
	    !utf8_length((const unsigned char *)text + start - 1,
			 len - start + 1))
		return start - 1;
	return len;
}

static ssize_t read_file(pid_t pid, const char *what, char *buf, size_t size)
{
	int fd = sw_open_proc(pid, what);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, buf, size);
		close(fd);
	}
	return n;
}

void sw_command_of(pid_t pid, char text[SW_COMMAND_MAX])
{
	ssize_t n = read_file(pid, "cmdline", text, SW_COMMAND_MAX - 1);

	if (n > 0) { /* words apart by NULs, with one at the end */
		if (n == SW_COMMAND_MAX - 1)
			n = whole_characters(text, n);
		while (n && !text[n - 1])
			n--;
		for (ssize_t i = 0; i < n; i++)
			text[i] = text[i] ? text[i] : ' ';
	} else { /* it is about to end: its name is left */
		char name[32];

		n = read_file(pid, "comm", name, sizeof(name) - 1);
		while (n > 0 && name[n - 1] == '\n')
			n--;
		n = n > 0 ? snprintf(text, SW_COMMAND_MAX, "[%.*s]", (int)n,
				     name)
			  : snprintf(text, SW_COMMAND_MAX, "[gone]");
	}
	text[n] = 0;
	sw_make_readable(text);
}
