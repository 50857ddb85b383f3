package config

import (
	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/slotdata"
	"github.com/nebula-credential/nebula/unlock/awskms"
)

// awsKMS is the source of keys that AWS KMS keeps.
func awsKMS() keySource {
	return keySource{
		kind: nebula.SlotAWSKMS, name: "the AWS KMS key", flag: "--aws-kms KEY",
		isSet: func(k *Keys) bool { return k.store.key.AWSKMS.Key != "" },
		fits:  func(k *Keys, slot nebula.Slot) bool { return k.store.key.AWSKMS.MayOpen(slot) },
		key: func(k *Keys) (nebula.Key, error) {
			if k.store.key.AWSKMS.Key == "" {
				return nil, nil
			}
			return k.awsKMS(k.store.key.AWSKMS)
		},
		service: &keyService{
			section:  "aws_kms",
			setting:  "key",
			usage:    "open it with `KEY` of AWS KMS: an ARN, alias/NAME, or a key id",
			named:    func(k *keyKeys) string { return k.AWSKMS.Key },
			validate: func(k *keyKeys) error { return k.AWSKMS.Validate() },
			check:    awskms.CheckKey,
			obeys:    map[string]string{"region": "AWS_REGION"},
			nameIn: func(slot nebula.Slot) string {
				data, err := slotdata.ParseAWSKMS(slot.Data)
				if err != nil {
					return ""
				}
				return data.ARN
			},
			forKey: func(k *Keys, name string) (nebula.Key, error) {
				c := k.store.key.AWSKMS
				c.Key, c.Also = name, nil
				return k.awsKMS(c)
			},
		},
	}
}

func (k *Keys) awsKMS(c awskms.Config) (nebula.Key, error) {
	c.Tell = k.options.Tell
	return awskms.New(c)
}
