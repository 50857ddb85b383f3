package slotdata

import (
	"errors"
	"strings"
)

// MaxKMSBlob is the greatest size of a ciphertext of KMS, in bytes.
const MaxKMSBlob = 6144

const maxARN = 512

// AWSKMS is the data of a slot for a key of AWS KMS.
type AWSKMS struct {
	ARN  string // of the key, never of an alias
	Blob []byte // CiphertextBlob of the slot secret
}

// ParseAWSKMS reads the data of a slot.
func ParseAWSKMS(data []byte) (AWSKMS, error) {
	fields, err := split(data, 2)
	if err != nil {
		return AWSKMS{}, err
	}
	k := AWSKMS{ARN: string(fields[0]), Blob: fields[1]}
	if _, err := ParseKeyARN(k.ARN); err != nil {
		return AWSKMS{}, err
	}
	if len(k.Blob) == 0 || len(k.Blob) > MaxKMSBlob {
		return AWSKMS{}, errors.New("the encrypted secret has a size that KMS does not give")
	}
	return k, nil
}

// Bytes is the inverse of ParseAWSKMS.
func (k AWSKMS) Bytes() []byte { return appendField(appendField(nil, k.ARN), k.Blob) }

// KeyARN is an ARN of a key in its parts.
type KeyARN struct {
	Partition string // aws, aws-cn, …
	Region    string
	Account   string // 12 digits
	ID        string
}

// ParseKeyARN reads arn:PARTITION:kms:REGION:ACCOUNT:key/ID.
func ParseKeyARN(s string) (KeyARN, error) {
	parts := strings.Split(s, ":")
	if len(s) <= maxARN && len(parts) == 6 && parts[0] == "arn" && parts[2] == "kms" {
		id, isKey := strings.CutPrefix(parts[5], "key/")
		a := KeyARN{Partition: parts[1], Region: parts[3], Account: parts[4], ID: id}
		if isKey && a.inForm() {
			return a, nil
		}
	}
	return KeyARN{}, errors.New("the ARN is not one of a KMS key")
}

func (a KeyARN) inForm() bool {
	return sized(a.Partition, 64) && only(a.Partition, isLowerName) &&
		sized(a.Region, 64) && only(a.Region, isLowerName) &&
		len(a.Account) == 12 && only(a.Account, isDigit) &&
		sized(a.ID, 128) && only(a.ID, isName)
}
