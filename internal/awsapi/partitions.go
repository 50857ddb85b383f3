package awsapi

import (
	"net/url"
	"slices"
	"strings"
)

// partition is a part of AWS with accounts of its own.
type partition struct {
	name    string   // as ARNs begin with it
	regions string   // beginning of the codes of its regions; "" for all others
	domains []string // of its endpoints; the second one has IPv6 too
}

// partitions are those that AWS has published, the most special first.
func partitions() []partition {
	return []partition{
		{"aws-cn", "cn-", []string{"amazonaws.com.cn", "api.amazonwebservices.com.cn"}},
		{"aws-us-gov", "us-gov-", []string{"amazonaws.com", "api.aws"}},
		{"aws-eusc", "eusc-", []string{"amazonaws.eu", "api.amazonwebservices.eu"}},
		{"aws-iso", "us-iso-", []string{"c2s.ic.gov", "api.aws.ic.gov"}},
		{"aws-iso-b", "us-isob-", []string{"sc2s.sgov.gov", "api.aws.scloud"}},
		{"aws-iso-e", "eu-isoe-", []string{"cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"}},
		{"aws-iso-f", "us-isof-", []string{"csp.hci.ic.gov", "api.aws.hci.ic.gov"}},
		{"aws", "", []string{"amazonaws.com", "api.aws"}},
	}
}

// PartitionOf returns the partition's name of a region, as ARNs begin with it.
func PartitionOf(region string) string { return partitionOf(region).name }

func partitionOf(region string) partition {
	all := partitions()
	return all[slices.IndexFunc(all, func(p partition) bool { return strings.HasPrefix(region, p.regions) })]
}

// IsAmazon reports whether an endpoint is another way to a region's own.
func IsAmazon(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	for _, p := range partitions() {
		for _, domain := range p.domains {
			if strings.HasSuffix(host, "."+domain) {
				return true
			}
		}
	}
	return false
}
