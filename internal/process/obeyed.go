package process

import (
	"slices"
	"strings"
)

// IsObeyed reports variables that loaders, shells and interpreters obey. Their
// values can load code into a program, or choose programs that it runs.
func IsObeyed(variable string) bool {
	name := strings.ToUpper(variable)
	return slices.Contains(obeyedNames(), name) ||
		slices.ContainsFunc(obeyedPrefixes(), func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

func obeyedPrefixes() []string {
	return []string{
		"LD_", "DYLD_", "_RLD", // loaders
		"BASH_FUNC_", "GIT_CONFIG", "NEBULA_", "NPM_CONFIG_",
		"PYTHON", "PERL", "RUBY", "NODE_", "JAVA_", "JDK_", "DOTNET_", "COMPLUS_", "CORECLR_", "COR_",
	}
}

func obeyedNames() []string {
	return []string{
		"PATH", "PATHEXT", "COMSPEC", "IFS", "CDPATH", "ENV", "BASH_ENV", "SHELLOPTS", "BASHOPTS", "PS4", "PROMPT_COMMAND", "ZDOTDIR", "FPATH",
		"SHELL", "HOME", "USER", "LOGNAME", "TMPDIR", "TMP", "TEMP", "TERM", "TERMINFO", "TERMCAP", "LANG", "LANGUAGE", "NLSPATH", "LOCPATH", "TZ", "TZDIR",
		"EDITOR", "VISUAL", "PAGER", "LESSOPEN", "LESSCLOSE", "BROWSER", "MANPAGER", "SYSTEMROOT", "WINDIR",
		"GIT_SSH", "GIT_SSH_COMMAND", "GIT_ASKPASS", "GIT_EXTERNAL_DIFF", "GIT_EDITOR", "GIT_PAGER", "GIT_PROXY_COMMAND", "GIT_EXEC_PATH", "GIT_TEMPLATE_DIR",
		"SSH_ASKPASS", "SSH_AUTH_SOCK", "DOCKER_HOST", "KUBECONFIG",
		"CLASSPATH", "_JAVA_OPTIONS", "GEM_PATH", "GEM_HOME", "BUNDLE_GEMFILE", "LUA_PATH", "LUA_CPATH", "LUA_INIT", "PHPRC", "PHP_INI_SCAN_DIR",
		"GCONV_PATH", "HOSTALIASES", "RESOLV_HOST_CONF", "RES_OPTIONS", "LOCALDOMAIN", "MALLOC_TRACE", "GETCONF_DIR", "GLIBC_TUNABLES",
		"GODEBUG", "GOFLAGS", "GOTRACEBACK", "RUSTC_WRAPPER", "CARGO_HOME", "MAKEFLAGS", "OPENSSL_CONF", "OPENSSL_MODULES", "OPENSSL_ENGINES",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_HOME", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
	}
}
