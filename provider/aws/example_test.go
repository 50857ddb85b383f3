package aws_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/middleware"
	"github.com/nebula-credential/nebula/provider/aws"
)

// A provider is made of a configuration and wrapped in the layers that retry,
// limit and observe it.
func Example() {
	config := aws.DefaultConfig() // AWS_REGION, and AWS's default credential chain
	config.KMSKeyID = "alias/nebula"
	config.DefaultTags = map[string]string{"cost-center": "17"}
	bare, err := aws.New(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	metrics := new(middleware.StorageMetrics)
	p := middleware.Stack(bare, middleware.Options{Metrics: metrics})
	name, _ := nebula.ID("github_token").Name()
	_, err = p.Retrieve(context.Background(), name) // before Connect
	fmt.Println(errors.Is(err, nebula.ErrClosed), metrics.RetrieveCount())
	// Output: true 1
}
