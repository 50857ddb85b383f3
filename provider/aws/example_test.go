package aws_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/aws"
)

// New returns the finished provider: its calls are repeated, limited and
// counted.
func Example() {
	config := aws.DefaultConfig() // AWS_REGION, and AWS's default credential chain
	config.KMSKeyID = "alias/nebula"
	config.DefaultTags = map[string]string{"cost-center": "17"}
	metrics := new(provider.StorageMetrics)
	p, err := aws.New(config, provider.WithMetrics(metrics))
	if err != nil {
		fmt.Println(err)
		return
	}
	name, _ := nebula.ID("github_token").Name()
	_, err = p.Retrieve(context.Background(), name) // before Connect
	fmt.Println(errors.Is(err, nebula.ErrClosed), metrics.RetrieveCount())
	// Output: true 1
}
