#!/bin/sh
# moto 5.2.5 (github.com/getmoto/moto), its KMS as a stand-in for AWS KMS.
#
# With another key than the ciphertext's, it answers AccessDeniedException with an empty
# message; AWS documents IncorrectKeyException. A disabled key decrypts; AWS documents
# DisabledException. A ciphertext of a multi-Region key cannot be decrypted at all. The
# pairs of an encryption context run into each other. A key that is made without KeyUsage
# has none in its description; AWS documents ENCRYPT_DECRYPT. Tests on moto alone do not
# cover these cases.
#
# Ends with 0 if moto still does so. Needs Python 3.10 or later and a package index.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v >log 2>&1 || { cat log; exit 2; }
v/bin/pip install --quiet moto==5.2.5 boto3==1.44.8 >log 2>&1 || { cat log; exit 2; }
cat >finding.py <<'PY'
import boto3
from botocore.exceptions import ClientError
from moto import mock_aws


def outcome(call, **arguments):
    try:
        call(**arguments)
        return "done"
    except ClientError as e:
        return "%s %r" % (e.response["Error"]["Code"], e.response["Error"]["Message"])


with mock_aws():
    kms = boto3.client("kms", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    made = kms.create_key()["KeyMetadata"]
    one, two = made["KeyId"], kms.create_key()["KeyMetadata"]["KeyId"]
    many = kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=one, Plaintext=b"x")["CiphertextBlob"]
    print("another key:", outcome(kms.decrypt, KeyId=two, CiphertextBlob=blob))
    print("usage of a new key:", made.get("KeyUsage"))
    pairs = kms.encrypt(KeyId=one, Plaintext=b"x", EncryptionContext={"p": "1", "q": "2"})["CiphertextBlob"]
    print("another context:", outcome(kms.decrypt, KeyId=one, CiphertextBlob=pairs, EncryptionContext={"p": "1q2"}))
    mrk = kms.encrypt(KeyId=many, Plaintext=b"x")["CiphertextBlob"]
    print("a multi-Region key:", outcome(kms.decrypt, KeyId=many, CiphertextBlob=mrk))
    kms.disable_key(KeyId=one)
    print("a disabled key:", outcome(kms.decrypt, KeyId=one, CiphertextBlob=blob))
PY
cat >expected <<'OUT'
another key: AccessDeniedException ''
usage of a new key: None
another context: done
a multi-Region key: AccessDeniedException ''
a disabled key: done
OUT
v/bin/python finding.py >seen 2>&1 || true
if cmp -s expected seen; then
	echo "moto 5.2.5, $(python3 --version):"
	cat seen
	exit 0
fi
echo "moto does something else now:"
diff expected seen || true
exit 1
