package providertest

import (
	"encoding/base64"
	"encoding/hex"

	"github.com/nebula-credential/nebula"
)

// Two keyrings of one data key: "key file" and "pbkdf2" of the vectors in
// testdata/format/vectors.jsonl. They are copied here because the suite is also
// used outside this repository.
const (
	dataKeyHex = "c193e5f6a77e282cd08f168ada6063bc2f07a7fa12196ca745ba1caccd0d4857"

	keyringRecord = "eyJ2ZXJzaW9uIjoxLCJlbmNyeXB0ZWRfZGF0YSI6eyJ2ZXJzaW9uIjoyLCJrZXlfaWQiOiJ5azdXaTdMNzNhekRhUmkwM05U" +
		"WERRPT0iLCJjb21taXRtZW50IjoiKys0cUxmSEVQZ0Z0SWZ4bnlaZ3d4ZXExMG1DaldoTnltamtvZWk1VUdpST0iLCJub25j" +
		"ZSI6IkNnZzhKWkY5TVp6OFlDVEoiLCJjaXBoZXJ0ZXh0Ijoianh4T1VkUzUwai9uYlVseVNoMlJ5MWFFZlVqc3M4RzZCaVg4" +
		"Z0JSSWxzZi9LVDhmdXpNdjJ4bStQRVF5YWgyak9EQmEwZElkWm5mZTJHQTBOVzBIbnhxTnA0S05FRGFlUnp5ZStYYnlQaWtm" +
		"bGdqbzUwbGpGdHZWSEdRPSIsInRhZyI6ImMrSGlaUk16R0JCUDhwVUhHbkRkdHc9PSIsInNsb3RzIjpbeyJpZCI6ImFiY2Qy" +
		"MzQ1Iiwia2luZCI6ImtleS1maWxlIiwic2FsdCI6IjZ5TTJ4U1QzVmowT0djcEhPVjc0RHc9PSIsIm0iOjAsInQiOjAsInAi" +
		"OjAsImNvbW1pdG1lbnQiOiJHMnRCU05YNTBFaHdTOXRmMFkxOG40VHhtZUxUbFFHQ1B3UDUrQXppaFZ3PSIsIm5vbmNlIjoi" +
		"WFhUbFlqV09oeHQrazFSOCIsIndyYXBwZWQiOiJOYy9YWHZsbmZ2Mm5EY3lBY015bzZWcUtscE9vZkNIREZjNzhqU05XcFFG" +
		"Y0QwNG5kTEEzNzNnMTBHekkzNXVSIn1dLCJzbG90c19zaGEyNTYiOiJoVTd3RlJhSTZIQklFZDhCNzJsTFF2bUU0T2JtMnd6" +
		"clFUSTMzdmx4bjJJPSJ9LCJtZXRhZGF0YSI6eyJjcmVhdGVkX2F0IjoiMjAyNi0wMS0wMVQwMDowMDowMFoiLCJsYXN0X21v" +
		"ZGlmaWVkIjoiMjAyNi0wMi0wMVQwMDowMDowMC4wMDAwMDFaIiwidGFncyI6e319LCJzYWx0IjoiL2wwbUVPT2thMzdIdEVP" +
		"RGlxSUJTdz09In0="

	otherKeyringRecord = "eyJ2ZXJzaW9uIjoxLCJlbmNyeXB0ZWRfZGF0YSI6eyJ2ZXJzaW9uIjoyLCJrZXlfaWQiOiJ5azdXaTdMNzNhekRhUmkwM05U" +
		"WERRPT0iLCJjb21taXRtZW50IjoieVVna3gyWGM3TzAwSjYzejBBdm5pdWt1NXdRQVhhSXd1UGY4YVB1bDgyVT0iLCJub25j" +
		"ZSI6InR0L2lFU05qVkZpUmdsM1oiLCJjaXBoZXJ0ZXh0IjoiakV4UHphQmtFVStFamZIZXhCVGVsQkdrblVEVWdtTGtib2Vi" +
		"di9mZGcyZk5SVEs1QU5RaFhuc0VFb2M3VXlBWHVqN1NwY3FyZlZ4V3F3MVp0bUJPMlBYNjhIWE9xelVmZkpPTUZFQVprQmVF" +
		"TitqcmlXTUpYMVZrNWdNPSIsInRhZyI6IklnQ1QzOGgzcVhlV1hmOVFaY0VObHc9PSIsInNsb3RzIjpbeyJpZCI6InBwcHAy" +
		"MjIyIiwia2luZCI6InBia2RmMi1zaGEyNTYiLCJzYWx0IjoiQkNRQjNycGRnTk5hVWlqelE3a05PUT09IiwibSI6MCwidCI6" +
		"NjAwMDAwLCJwIjowLCJjb21taXRtZW50IjoiMjVnd2FhVGU0WEdwK0NCc0pNYXBjZ2E3OExMYkZTTkNHN0Y3bFlMYlVXbz0i" +
		"LCJub25jZSI6IldFam1QanVjZVcrTkw5ZmQiLCJ3cmFwcGVkIjoiLzRHc2hZLzc0RUlxM3F4cXVIbEkvcWFSbnExWkM2Rmoz" +
		"a2wxaFNWbWRreFd3NURvVWxmSVVMRjlqUFM1ekoxYiJ9XSwic2xvdHNfc2hhMjU2IjoiMGxteTdKREZpbkY2czZtUmN2REZZ" +
		"ZFRhMkx5SDl2WDBvbWhZRzNGb3FyMD0ifSwibWV0YWRhdGEiOnsiY3JlYXRlZF9hdCI6IjIwMjYtMDEtMDFUMDA6MDA6MDBa" +
		"IiwibGFzdF9tb2RpZmllZCI6IjIwMjYtMDItMDFUMDA6MDA6MDAuMDAwMDAxWiIsInRhZ3MiOnt9fSwic2FsdCI6Ii9hV01B" +
		"TzdFN05uWURCR1JDSjhGV2c9PSJ9"
)

// DataKey returns the data key of [Keyring], to seal records that fit it with
// [nebula.SealRecord].
func DataKey() [32]byte {
	var key [32]byte
	if n, err := hex.Decode(key[:], []byte(dataKeyHex)); err != nil || n != len(key) {
		panic("providertest: the data key is damaged")
	}
	return key
}

// Keyring returns a keyring whose data key is [DataKey], to be stored under
// [nebula.KeyringName].
func Keyring() *nebula.Envelope { return parseKeyring(keyringRecord) }

// otherKeyring returns another keyring of the same data key.
func otherKeyring() *nebula.Envelope { return parseKeyring(otherKeyringRecord) }

func parseKeyring(text string) *nebula.Envelope {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic("providertest: " + err.Error())
	}
	envelope, err := nebula.ParseEnvelope(nebula.KeyringName(), raw)
	if err != nil {
		panic("providertest: " + err.Error())
	}
	return envelope
}
