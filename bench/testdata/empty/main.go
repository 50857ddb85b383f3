// Command empty does nothing. It costs what the start of a program costs.
package main

func main() {}
