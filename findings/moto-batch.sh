#!/bin/sh
# moto 5.2.5 (github.com/getmoto/moto), its Secrets Manager as a stand-in for AWS:
# BatchGetSecretValue.
#
# If UpdateSecretVersionStage moves AWSCURRENT to a version, GetSecretValue with that
# stage returns the version. BatchGetSecretValue goes on to return the one before, with
# its stage AWSPREVIOUS. AWS returns only the current one in a batch.
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
from moto import mock_aws

with mock_aws():
    sm = boto3.client("secretsmanager", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    old = sm.create_secret(Name="s", SecretString="old")["VersionId"]
    new = sm.put_secret_value(SecretId="s", SecretString="new", VersionStages=["NEXT"])["VersionId"]
    sm.update_secret_version_stage(SecretId="s", VersionStage="AWSCURRENT", MoveToVersionId=new, RemoveFromVersionId=old)
    print("get:", sm.get_secret_value(SecretId="s", VersionStage="AWSCURRENT")["SecretString"])
    for value in sm.batch_get_secret_value(SecretIdList=["s"])["SecretValues"]:
        print("batch:", value["SecretString"], value["VersionStages"])
PY
cat >expected <<'OUT'
get: new
batch: old ['AWSPREVIOUS']
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
