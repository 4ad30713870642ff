#include "base/cleanup.h"
#include "pprof_decode.h"
#include "pprof_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int pprof_decode_fail(struct cp_err *err, int rc)
{
	if (rc == -ENOMEM)
		return cp_fail_nomem(err);
	if (rc == -EOVERFLOW)
		return cp_fail(err, -E2BIG, "it holds more than 4 billion entries of a kind");
	if (rc == -EBADMSG)
		return cp_fail(err, rc, "damaged");
	return cp_fail(err, rc, "%s", strerror(-rc));
}

/* The file's id of each location of the model; of two that became one, the first. */
static int number_locations(const struct pprof_raw *raw, const struct pprof_refs *refs,
			    const struct profile *profile, uint64_t **out)
{
	uint64_t *ids = calloc(profile->n_locations + 1, sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	for (size_t i = raw->n.locations; i-- > 0;)
		ids[refs->location_models[i]] = raw->locations[i].id;
	*out = ids;
	return 0;
}

static int decode(const struct byte_source *source, struct pprof_raw *raw, struct pprof_refs *refs,
		  struct profile *profile, struct pprof_load_info *info, struct cp_err *err)
{
	struct pprof_extent extent;
	int rc = pprof_scan(source, raw, &extent, err);
	if (!rc)
		rc = pprof_resolve(raw, profile, refs, err);
	if (!rc)
		rc = pprof_samples_read(source, &extent, raw, refs, profile, &info->unknown_labels,
					err);
	info->members = extent.members;
	info->torn_bytes = source->size_bytes - extent.bytes_in;
	return rc;
}

int pprof_decode(const struct byte_source *source, struct profile **out,
		 struct pprof_load_info *info, uint64_t **location_ids, struct cp_err *err)
{
	if (err)
		err->message[0] = '\0';
	struct profile *profile;
	if (profile_create(&profile))
		return cp_fail_nomem(err);
	struct pprof_raw raw;
	struct pprof_refs refs = {0};
	struct pprof_load_info found = {0};
	pprof_raw_init(&raw);
	int rc = decode(source, &raw, &refs, profile, &found, err);
	if (!rc && location_ids) {
		rc = number_locations(&raw, &refs, profile, location_ids);
		if (rc)
			cp_fail_nomem(err);
	}
	pprof_refs_deinit(&refs);
	pprof_raw_deinit(&raw);
	if (rc) {
		profile_destroy(profile);
		return rc;
	}
	if (info)
		*info = found;
	*out = profile;
	return 0;
}

int pprof_load(const char *path, struct profile **out, struct pprof_load_info *info,
	       struct cp_err *err)
{
	struct byte_source source;
	int rc = byte_source_open(&source, path, err);
	if (!rc) {
		rc = pprof_decode(&source, out, info, NULL, err);
		byte_source_close(&source);
	}
	if (rc)
		return cp_fail_prefix(err, rc, "cannot read %s",
				      strcmp(path, "-") == 0 ? "standard input" : path);
	return 0;
}

int pprof_load_bytes(const void *bytes, size_t n, struct profile **out,
		     struct pprof_load_info *info, struct cp_err *err)
{
	struct byte_source source;
	byte_source_memory(&source, bytes, n);
	return pprof_decode(&source, out, info, NULL, err);
}
