"""Master keys and the keyring: who can wrap and unwrap data keys.

base        `MasterKey`: what every kind of master key can do
rsa         `RsaMasterKey`, and `load` for PEM files
symmetric   `SymmetricMasterKey`, and `load` for its files
masters     the master keys that options or a keyring file name, loaded
keyring_file    reading that file
passphrase  reading a passphrase file
keyring     `Keyring`: one key wraps, all unwrap, unwrapped data keys are remembered for a while
secrets     `SecretCache`: that memory
keygen      making a new RSA pair
"""
