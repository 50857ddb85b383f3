package aws

import (
	"net/url"
	"strings"
)

// partition is a part of AWS with accounts of its own.
type partition struct {
	name    string   // as ARNs begin with it
	regions string   // beginning of the codes of its regions; "" for all others
	domains []string // of its endpoints
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

// partitionOf returns the partition's name of a region.
func partitionOf(region string) string {
	for _, p := range partitions() {
		if strings.HasPrefix(region, p.regions) {
			return p.name
		}
	}
	return ""
}

// isAmazon reports whether an endpoint is another way to the region's own.
func isAmazon(u *url.URL) bool {
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
