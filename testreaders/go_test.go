package testreaders

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	compose "github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/docker/cli/pkg/kvfile"
	"github.com/hashicorp/go-envparse"
	"github.com/joho/godotenv"
	"github.com/sirupsen/logrus"
	"github.com/subosito/gotenv"
	kubectl "k8s.io/kubectl/pkg/cmd/util"
)

// goReaders are the readers that are Go modules. Each reads a file or refuses it.
func goReaders() map[string]func(file string) (map[string]string, error) {
	return map[string]func(string) (map[string]string, error){
		"compose": func(file string) (map[string]string, error) { return compose.Read(file) },
		"docker": func(file string) (map[string]string, error) {
			lines, err := kvfile.Parse(file, nil)
			read := make(map[string]string)
			for _, line := range lines {
				name, value, _ := strings.Cut(line, "=")
				read[name] = value
			}
			return read, err
		},
		"envparse": func(file string) (map[string]string, error) {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			return envparse.Parse(bytes.NewReader(text))
		},
		"godotenv": func(file string) (map[string]string, error) { return godotenv.Read(file) },
		"gotenv": func(file string) (map[string]string, error) {
			env, err := gotenv.Read(file)
			return env, err
		},
		"kubectl": func(file string) (map[string]string, error) {
			read := make(map[string]string)
			err := kubectl.AddFromEnvFile(file, func(name, value string) error {
				if _, twice := read[name]; twice {
					return errors.New("twice")
				}
				read[name] = value
				return nil
			})
			return read, err
		},
	}
}

func TestMain(m *testing.M) {
	logrus.SetLevel(logrus.FatalLevel) // compose logs each name that is not set
	os.Exit(m.Run())
}
