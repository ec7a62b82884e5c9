"""Master keys and the keyring: who can wrap and unwrap data keys.

base        `MasterKey`: what every kind of master key can do
rsa         `RsaMasterKey`, and `load` for PEM files
symmetric   `SymmetricMasterKey`, and `load` for its files
kms         `KmsMasterKey`: a key in the KMS         → kms_identity, kms_client
kms_client  `KmsClient`                              → kms_signing, kms_refusal, kms_circuit
kms_factory     making them from what options or a keyring file say
masters     the master keys that options or a keyring file name, loaded
keyring_file    reading that file
passphrase  reading a passphrase file
keyring     `Keyring`: one key wraps, all unwrap, unwrapped data keys are remembered for a while
race        trying several keys without waiting for a silent one
secrets     `SecretCache`: that memory
pool        `EnvelopePool`: data keys made ahead
keygen      making a new RSA pair
"""
