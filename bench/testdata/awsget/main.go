// Command awsget reads one secret with the SDK, as a program without nebula does.
package main

import (
	"context"
	"log"
	"os"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

func main() {
	ctx := context.Background()
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	answer, err := secretsmanager.NewFromConfig(c).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &os.Args[1]})
	if err != nil {
		log.Fatal(err)
	}
	_, _ = os.Stdout.WriteString(*answer.SecretString)
}
