package local_test

func become(func(string) string) {}
