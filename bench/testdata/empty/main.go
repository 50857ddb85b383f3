// Command empty does nothing: what it takes is what a start takes.
package main

func main() {}
