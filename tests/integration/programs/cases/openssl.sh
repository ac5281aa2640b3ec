# speed (only that it ends well), digests, keys, a certificate made and verified.
needs="openssl"
stress=100
case_run() {
    pre openssl speed -seconds 1 -evp sha256 >/dev/null 2>&1
    pre openssl speed -seconds 1 -multi 2 rsa1024 >/dev/null 2>&1
    seq 300000 >data
    for digest in sha1 sha256 sha512 md5 blake2b512; do pre openssl dgst -$digest data; done
    pre openssl enc -aes-256-cbc -pbkdf2 -k secret -S 0102030405060708 -in data -out data.enc && cksum <data.enc
    pre openssl enc -d -aes-256-cbc -pbkdf2 -k secret -S 0102030405060708 -in data.enc | cksum
    pre openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=example.org -days 3 2>/dev/null
    pre openssl verify -CAfile cert.pem cert.pem
    pre openssl x509 -in cert.pem -noout -subject -issuer
    pre openssl ecparam -name prime256v1 -genkey -noout -out ec.pem
    pre openssl dgst -sha256 -sign ec.pem -out sig data
    openssl ec -in ec.pem -pubout -out pub.pem 2>/dev/null
    pre openssl dgst -sha256 -verify pub.pem -signature sig data
    pre openssl prime 1000003
    pre openssl x509 -in no-such-file -noout 2>/dev/null
}
