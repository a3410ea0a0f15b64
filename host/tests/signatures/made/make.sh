#!/bin/sh
# Makes a Sigstore of its own, with an authority of certificates and one of times, and bundles by it: none is ever
# made again unless something here changes. Needs openssl, jq and the manifest that cosign/ has.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
cat >"$work/openssl.cnf" <<CONF
[ca]
default_ca = ca
database = $work/index
new_certs_dir = $work
serial = $work/serial
default_md = sha256
policy = any
copy_extensions = none
[any]
commonName = optional
[times]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[signer]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = codeSigning
subjectAltName = critical,\${ENV::WHO}
1.3.6.1.4.1.57264.1.8 = ASN1:UTF8String:\${ENV::BY}
[plain]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
subjectAltName = critical,\${ENV::WHO}
1.3.6.1.4.1.57264.1.8 = ASN1:UTF8String:\${ENV::BY}
[tsa]
default_tsa = tsa
serial = $work/tsaserial
signer_digest = sha256
default_policy = 1.3.6.1.4.1.57264.2
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
CONF
export WHO=email:nobody@example.org BY=nobody
touch "$work/index"
echo 01 >"$work/serial"
echo 01 >"$work/tsaserial"
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$work/$1.key"; }
root() {
    key "$1"
    openssl req -x509 -new -key "$work/$1.key" -subj "/CN=$1" -days 36500 \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign -out "$work/$1.pem"
}
# issue NAME CA EXTENSIONS FROM TO
issue() {
    key "$1"
    openssl req -new -key "$work/$1.key" -subj "/CN=$1" -out "$work/$1.csr"
    openssl ca -batch -notext -config "$work/openssl.cnf" -cert "$work/$2.pem" -keyfile "$work/$2.key" -extensions "$3" \
        -startdate "$4" -enddate "$5" -in "$work/$1.csr" -out "$work/$1.pem" 2>/dev/null
}
der() { openssl x509 -in "$work/$1.pem" -outform der | base64 -w0; }
# bundle NAME FILE PREDICATE: a statement of the manifest by NAME's key, with its certificate and a time that is now.
bundle() {
    digest=$(sha256sum ../cosign/manifest.json | cut -d' ' -f1)
    payload='{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"'$digest'"}}],"predicateType":"'$3'","predicate":{}}'
    kind=application/vnd.in-toto+json
    printf 'DSSEv1 %d %s %d %s' "${#kind}" "$kind" "${#payload}" "$payload" >"$work/pae"
    openssl dgst -sha256 -sign "$work/$1.key" -out "$work/sig" "$work/pae"
    openssl ts -query -data "$work/sig" -sha256 -cert -out "$work/query" 2>/dev/null
    openssl ts -reply -config "$work/openssl.cnf" -queryfile "$work/query" -inkey "$work/times.key" \
        -signer "$work/times.pem" -out "$work/reply" 2>/dev/null
    jq -cn --arg cert "$(der "$1")" --arg payload "$(printf %s "$payload" | base64 -w0)" \
        --arg sig "$(base64 -w0 "$work/sig")" --arg time "$(base64 -w0 "$work/reply")" --arg kind "$kind" '{
        mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
        verificationMaterial: {certificate: {rawBytes: $cert}, tlogEntries: [],
            timestampVerificationData: {rfc3161Timestamps: [{signedTimestamp: $time}]}},
        dsseEnvelope: {payload: $payload, payloadType: $kind, signatures: [{sig: $sig}]}}' >"$2"
}
root authority
root clock
issue times clock times 20260101000000Z 21000101000000Z
now=$(date -u +%Y%m%d%H%M%SZ)
export WHO=URI:https://github.com/acme/plugins/.github/workflows/release.yaml@refs/tags/v1.2.0
export BY=https://token.actions.githubusercontent.com
issue signer authority signer "$now" "$(date -u -d '+10 minutes' +%Y%m%d%H%M%SZ)"
issue late authority signer 20260101000000Z 20260101001000Z
issue early authority signer 21000101000000Z 21000101001000Z
issue plain authority plain "$now" "$(date -u -d '+10 minutes' +%Y%m%d%H%M%SZ)"
root stranger
issue strange stranger signer "$now" "$(date -u -d '+10 minutes' +%Y%m%d%H%M%SZ)"
signed=https://sigstore.dev/cosign/sign/v1
bundle signer good.sigstore.json $signed
bundle signer built.sigstore.json https://slsa.dev/provenance/v1
bundle late late.sigstore.json $signed
bundle strange strange.sigstore.json $signed
bundle early early.sigstore.json $signed
bundle plain plain.sigstore.json $signed
bundle authority authority.sigstore.json $signed
jq -n --arg ca "$(der authority)" --arg times "$(der times)" --arg clock "$(der clock)" '{
    mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    certificateAuthorities: [{uri: "https://authority.example", certChain: {certificates: [{rawBytes: $ca}]}}],
    timestampAuthorities: [{uri: "https://clock.example", certChain: {certificates: [{rawBytes: $times}, {rawBytes: $clock}]}}]
}' >trusted_root.json
rm -r "$work"
