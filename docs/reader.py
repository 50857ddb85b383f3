"""Reads a sealed export of nebula without nebula; the form is in format.md.

    python3 reader.py EXPORT --key-file F               every credential, a line of JSON each
    python3 reader.py EXPORT ID --passphrase-file F     the exact bytes of one value
    python3 reader.py EXPORT ID                         asks for the passphrase

Needs Python 3.9 and cryptography, of version 44 or later for slots of the kind argon2id.
"""
import argparse
import base64
import getpass
import hashlib
import hmac
import json
import re
import struct
import sys
import unicodedata

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Refused(Exception):
    """Why something is not read."""


DAMAGED = (Refused, ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidTag, struct.error)
STRINGS = ("created_at", "last_modified", "last_accessed", "created_by", "scope")


def field(data):
    return struct.pack(">I", len(data)) + data


def b64(text, size=None):
    data = base64.b64decode(text, validate=True)
    if size not in (None, len(data)):
        raise ValueError("length")
    return data


def parse(raw):
    """Parses JSON that has one form only: nothing in it is said twice, or in another way."""
    value = json.loads(raw)
    if json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() != raw:
        raise ValueError("form")
    return value


def expand(prk, info):
    """HKDF-Expand with SHA-256: 64 bytes."""
    first = hmac.digest(prk, info + b"\1", "sha256")
    return first + hmac.digest(prk, first + info + b"\2", "sha256")


def read_export(path):
    """Checks a whole export. Returns the keyring, and where the line of each id begins."""
    digest, keyring, places, last = hashlib.sha256(), None, {}, ""
    with open(path, "rb") as file:
        for number, line in enumerate(iter(file.readline, b""), 1):
            try:
                entry = parse(line[:-1])
                if number == 1:
                    if entry["nebula_export"] != 1:
                        raise Refused("the export is of another version")
                elif number == 2:
                    keyring = b64(entry["keyring"])
                elif "records" in entry:
                    if entry != {"records": len(places), "sha256": digest.hexdigest()} or file.read(1):
                        raise Refused("the export is damaged: its end mark does not fit")
                    return keyring, places
                elif entry["id"] <= last:
                    raise ValueError("order")
                else:
                    last = entry["id"]
                    places[last] = file.tell() - len(line)
            except DAMAGED as why:
                raise (why if isinstance(why, Refused) else Refused(f"line {number} of the export is damaged")) from None
            digest.update(line)
    raise Refused("the export was cut off: it has no end mark")


def open_record(data_key, name, record, bound=b""):
    """Opens a parsed record under its name."""
    sealed, meta, name = record["encrypted_data"], record["metadata"], name.encode()
    if record["version"] != 1 or sealed["version"] != 2 or not {"rotation_policy", "tags", *STRINGS}.issuperset(meta):
        raise Refused("the record is of another version")
    key_id, salt = b64(sealed["key_id"], 16), b64(record["salt"], 16)
    okm = expand(data_key, b"nebula/2/record\0" + salt + struct.pack(">H", len(name)) + name)
    if not hmac.compare_digest(okm[32:], b64(sealed["commitment"], 32)):
        raise Refused("the record was damaged, edited or swapped")
    aad = b"nebula/2/aad\0" + struct.pack(">II", 1, 2) + field(b"AES-256-GCM+HKDF-SHA-256") + field(key_id) + field(name)
    aad += field(meta["created_at"].encode()) + field(meta["last_modified"].encode())
    for member in STRINGS[2:]:
        aad += b"\1" + field(meta[member].encode()) if member in meta else b"\0"
    days = meta["rotation_policy"].values() if "rotation_policy" in meta else None
    aad += b"\0" if days is None else b"\1" + struct.pack(">I", *days)
    tags = sorted((k.encode(), v.encode()) for k, v in meta["tags"].items())
    aad += struct.pack(">I", len(tags)) + b"".join(field(k) + field(v) for k, v in tags) + bound
    return AESGCM(okm[:32]).decrypt(b64(sealed["nonce"], 12), b64(sealed["ciphertext"]) + b64(sealed["tag"], 16), aad)


def slot_secret(slot, key, passphrase):
    """Returns the secret for a slot. It fits no slot if what is at hand is of another kind."""
    kind, salt, m, t, p = slot["kind"], b64(slot["salt"], 16), slot["m"], slot["t"], slot["p"]
    if kind == "key-file" or passphrase is None or kind not in ("argon2id", "pbkdf2-sha256"):
        return key if kind == "key-file" and key else b""
    if kind == "pbkdf2-sha256" and 600_000 <= t <= 10_000_000:
        return hashlib.pbkdf2_hmac("sha256", passphrase, salt, t)
    if kind == "argon2id" and 19456 <= m <= 1 << 20 and 2 <= t <= 16 and 1 <= p <= 16 and m * t <= 1 << 22:
        from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
        return Argon2id(salt=salt, length=32, iterations=t, lanes=p, memory_cost=m).derive(passphrase)
    raise Refused("a slot asks for more or less work than is allowed")


def open_keyring(raw, key, passphrase):
    """Returns the data keys by their ids: that in use and the retired ones."""
    record = parse(raw)
    sealed = record["encrypted_data"]
    slots_hash = hashlib.sha256(json.dumps(sealed["slots"], separators=(",", ":"), ensure_ascii=False).encode()).digest()
    if slots_hash != b64(sealed["slots_sha256"], 32):
        raise Refused("the keyring was damaged or edited")
    for slot in sealed["slots"]:
        kind, name, secret = slot["kind"].encode(), slot["id"].encode(), slot_secret(slot, key, passphrase)
        okm = expand(hmac.digest(b64(slot["salt"], 16), secret, "sha256"), b"nebula/2/slot\0" + field(kind) + field(name))
        if not hmac.compare_digest(okm[32:], b64(slot["commitment"], 32)):
            continue
        aad = b"nebula/2/slot-aad\0" + field(kind) + field(name) + struct.pack(">III", slot["m"], slot["t"], slot["p"]) + b"\0"
        data_key = AESGCM(okm[:32]).decrypt(b64(slot["nonce"], 12), b64(slot["wrapped"], 48), aad)
        value = json.loads(open_record(data_key, ".keyring", record, field(slots_hash)))
        return {expand(k, b"nebula/2/key-id\0")[:16]: k for k in [data_key, *(b64(old, 32) for old in value["retired"])]}
    raise Refused("nothing at hand opens the keyring, whose slots are " + ", ".join(s["kind"] for s in sealed["slots"]))


def read_file(path):
    with open(path, "rb") as file:
        return re.sub(rb"\r?\n\Z", b"", file.read())


def read_key_file(path):
    match = re.fullmatch(rb"nebula-key-1:([0-9a-f]{64}):([0-9a-f]{8})", read_file(path))
    key = bytes.fromhex(match[1].decode()) if match else b""
    if not match or hashlib.sha256(b"nebula/2/key-file\0" + key).hexdigest()[:8] != match[2].decode():
        raise Refused(f"{path} is no key file of nebula")
    return key


def show(path, place, name, keys, exact):
    """Prints a credential, or the exact bytes of its value."""
    with open(path, "rb") as file:
        file.seek(place)
        record = parse(b64(json.loads(file.readline())["record"]))
    key_id = b64(record["encrypted_data"]["key_id"], 16)
    if key_id not in keys:
        raise Refused("the record is sealed under another key")
    value = open_record(keys[key_id], name, record)
    if exact:
        sys.stdout.buffer.write(value)
        return
    try:
        text, encoding = value.decode(), "utf8"
    except UnicodeDecodeError:
        text, encoding = base64.b64encode(value).decode(), "base64"
    print(json.dumps({"id": name, "value": text, "encoding": encoding, "metadata": record["metadata"]}))


def main():
    parser = argparse.ArgumentParser(description="Reads a sealed export of nebula.")
    parser.add_argument("export")
    parser.add_argument("id", nargs="?")
    parser.add_argument("--key-file")
    parser.add_argument("--passphrase-file")
    args, failed = parser.parse_intermixed_args(), 0
    keyring, places = read_export(args.export)
    if args.key_file:
        keys = open_keyring(keyring, read_key_file(args.key_file), None)
    else:
        text = read_file(args.passphrase_file).decode() if args.passphrase_file else getpass.getpass("Passphrase: ")
        keys = open_keyring(keyring, None, unicodedata.normalize("NFC", text).encode())
    if args.id is not None and args.id not in places:
        raise Refused(f"the export has no {args.id!a}")
    for name in [args.id] if args.id is not None else places:
        try:
            show(args.export, places[name], name, keys, args.id is not None)
        except DAMAGED as why:
            print(f"reader.py: {name!a}: {why if isinstance(why, Refused) else 'the record is damaged'}", file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ImportError:
        sys.exit("reader.py: a slot of the kind argon2id needs cryptography 44 or later")
    except (OSError, *DAMAGED) as why:
        sys.exit(f"reader.py: {why if isinstance(why, (OSError, Refused)) else 'the keyring is damaged'}")
