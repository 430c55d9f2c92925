/* Messages of SFTP version 3: big-endian numbers, texts with their length before them. */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "roost-files.h"

static const uint8_t *take(struct packet *packet, size_t length)
{
	const uint8_t *bytes = packet->bytes + packet->at;

	if (packet->broken || packet->length - packet->at < length) {
		packet->broken = true;
		return NULL;
	}
	packet->at += length;
	return bytes;
}

uint8_t take_byte(struct packet *packet)
{
	const uint8_t *bytes = take(packet, 1);

	return bytes == NULL ? 0 : *bytes;
}

uint32_t take_number(struct packet *packet)
{
	const uint8_t *bytes = take(packet, 4);
	uint32_t value = 0;

	if (bytes != NULL)
		memcpy(&value, bytes, 4);
	return be32toh(value);
}

uint64_t take_long(struct packet *packet)
{
	const uint8_t *bytes = take(packet, 8);
	uint64_t value = 0;

	if (bytes != NULL)
		memcpy(&value, bytes, 8);
	return be64toh(value);
}

const uint8_t *take_bytes(struct packet *packet, uint32_t *length)
{
	*length = take_number(packet);
	return take(packet, *length);
}

const char *take_text(struct packet *packet, bool *valid)
{
	uint32_t length;
	uint8_t *bytes = (uint8_t *)take_bytes(packet, &length);

	if (bytes == NULL) {
		*valid = false;
		return "";
	}
	if (memchr(bytes, '\0', length) != NULL)
		*valid = false;
	/* Its length, read already, makes room for the NUL. */
	memmove(bytes - 1, bytes, length);
	bytes[(ssize_t)length - 1] = '\0';
	return (const char *)bytes - 1;
}

void take_attributes(struct packet *packet, struct attributes *attributes)
{
	memset(attributes, 0, sizeof(*attributes));
	attributes->flags = take_number(packet);
	if (attributes->flags & ATTRIBUTE_SIZE)
		attributes->size = take_long(packet);
	if (attributes->flags & ATTRIBUTE_OWNER) {
		attributes->uid = take_number(packet);
		attributes->gid = take_number(packet);
	}
	if (attributes->flags & ATTRIBUTE_MODE)
		attributes->mode = take_number(packet);
	if (attributes->flags & ATTRIBUTE_TIMES) {
		attributes->accessed = take_number(packet);
		attributes->modified = take_number(packet);
	}
	if (packet->broken)
		attributes->flags = 0;
}

void begin(struct packet *packet, uint8_t type)
{
	packet->length = 4;
	packet->at = 0;
	packet->broken = false;
	put_byte(packet, type);
}

static void put(struct packet *packet, const void *bytes, size_t length)
{
	if (sizeof(packet->bytes) - packet->length < length)
		_exit(1);
	memcpy(packet->bytes + packet->length, bytes, length);
	packet->length += length;
}

void put_byte(struct packet *packet, uint8_t value)
{
	put(packet, &value, 1);
}

void put_number(struct packet *packet, uint32_t value)
{
	value = htobe32(value);
	put(packet, &value, 4);
}

void put_long(struct packet *packet, uint64_t value)
{
	value = htobe64(value);
	put(packet, &value, 8);
}

void put_bytes(struct packet *packet, const void *bytes, uint32_t length)
{
	put_number(packet, length);
	put(packet, bytes, length);
}

void put_text(struct packet *packet, const char *text)
{
	put_bytes(packet, text, strlen(text));
}

void put_attributes(struct packet *packet, const struct stat *status)
{
	put_number(packet, ATTRIBUTE_SIZE | ATTRIBUTE_OWNER | ATTRIBUTE_MODE | ATTRIBUTE_TIMES);
	put_long(packet, status->st_size);
	put_number(packet, status->st_uid);
	put_number(packet, status->st_gid);
	put_number(packet, status->st_mode);
	put_number(packet, status->st_atime);
	put_number(packet, status->st_mtime);
}

void write_all(const void *bytes, size_t length)
{
	const uint8_t *at = bytes;

	while (length > 0) {
		ssize_t count = write(CONNECTION, at, length);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			_exit(0);
		at += count;
		length -= count;
	}
}

void finish(struct packet *packet)
{
	uint32_t length = htobe32(packet->length - 4);

	memcpy(packet->bytes, &length, 4);
	write_all(packet->bytes, packet->length);
}

static bool read_all(void *bytes, size_t length)
{
	uint8_t *at = bytes;

	while (length > 0) {
		ssize_t count = read(CONNECTION, at, length);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return false;
		at += count;
		length -= count;
	}
	return true;
}

bool receive(struct packet *packet)
{
	uint32_t length;

	if (!read_all(&length, 4))
		return false;
	packet->length = be32toh(length);
	packet->at = 0;
	packet->broken = false;
	return packet->length >= 1 && packet->length <= sizeof(packet->bytes) && read_all(packet->bytes, packet->length);
}
