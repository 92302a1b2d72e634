/*
 * cgroup.c - see cgroup.h. Above: options.c (-m auto), doctor.c.
 *
 * /proc/self/cgroup has a line a hierarchy, ID:CONTROLLERS:PATH. PATH is seen
 * from the root of the cgroup namespace; where a container has its own group
 * mounted without such a namespace, PATH does not exist below the mount, and
 * the mount's own root is the group we are in. So every folder from PATH up
 * to the root is asked, and those that are not there say nothing.
 */
#include "run/cgroup.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Version 1 says "no limit" by the largest number of whole pages. */
#define V1_NO_LIMIT (INT64_MAX & SW_PAGE_MASK)

static uint64_t read_limit(const char *folder, const char *file)
{
	uint64_t bytes = SW_CGROUP_NO_LIMIT;
	char path[2 * PATH_MAX], line[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	f = fopen(path, "re");
	if (!f)
		return SW_CGROUP_NO_LIMIT;
	/* "max" is no number. */
	if (fgets(line, sizeof(line), f) && *line >= '0' && *line <= '9')
		bytes = strtoull(line, NULL, 10);
	fclose(f);
	return bytes >= V1_NO_LIMIT ? SW_CGROUP_NO_LIMIT : bytes;
}

static uint64_t folder_limit(const char *folder, bool v2)
{
	if (!v2)
		return read_limit(folder, "memory.limit_in_bytes");
	return sw_min(read_limit(folder, "memory.max"),
		      read_limit(folder, "memory.high"));
}

/* `group` is cut from its end. */
static uint64_t branch_limit(const char *root, const char *mount, char *group,
			     bool v2)
{
	uint64_t limit = SW_CGROUP_NO_LIMIT;
	char folder[PATH_MAX];
	char *slash;

	do {
		snprintf(folder, sizeof(folder), "%s%s%s", root, mount, group);
		limit = sw_min(limit, folder_limit(folder, v2));
		slash = strrchr(group, '/');
		if (slash)
			*slash = '\0';
	} while (slash);
	return limit;
}

static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	while (list) {
		if (!strncmp(list, word, len) &&
		    (!list[len] || list[len] == ','))
			return true;
		list = strchr(list, ',');
		list += list != NULL;
	}
	return false;
}

static uint64_t line_limit(const char *root, char *line)
{
	static const char *const v2_mounts[] = { "/sys/fs/cgroup",
						 "/sys/fs/cgroup/unified" };
	uint64_t limit = SW_CGROUP_NO_LIMIT;
	char *controllers, *group, copy[PATH_MAX];

	line[strcspn(line, "\n")] = '\0';
	controllers = strchr(line, ':');
	group = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!group)
		return limit;
	*controllers++ = '\0';
	*group++ = '\0';
	if (has_word(controllers, "memory"))
		return branch_limit(root, "/sys/fs/cgroup/memory", group,
				    false);
	if (*controllers)
		return limit;
	for (unsigned i = 0; i < SW_ARRAY_SIZE(v2_mounts); i++) {
		snprintf(copy, sizeof(copy), "%s", group);
		limit = sw_min(limit,
			       branch_limit(root, v2_mounts[i], copy, true));
	}
	return limit;
}

uint64_t sw_cgroup_limit(const char *root)
{
	uint64_t limit = SW_CGROUP_NO_LIMIT;
	char path[PATH_MAX], *line = NULL;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	f = fopen(path, "re");
	if (!f)
		return limit;
	while (getline(&line, &size, f) > 0)
		limit = sw_min(limit, line_limit(root, line));
	free(line);
	fclose(f);
	return limit;
}
