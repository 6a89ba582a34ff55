{{- define "sidelight-sidecar.config" -}}
# Written by `sidelight build` from sidelight.yaml; change that file, not this one.
extensions:
  health_check:
    endpoint: ${env:POD_IP:-127.0.0.1}:${env:SIDELIGHT_HEALTH_PORT:-13133}
  file_storage:
    directory: ${env:SIDELIGHT_QUEUE_DIR:-/var/lib/otelcol/queue}
    create_directory: true
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 127.0.0.1:${env:SIDELIGHT_OTLP_GRPC_PORT:-4317}
      http:
        endpoint: 127.0.0.1:${env:SIDELIGHT_OTLP_HTTP_PORT:-4318}
processors:
  memory_limiter:
    check_interval: 1s
    limit_mib: ${env:SIDELIGHT_MEMORY_LIMIT_MIB:-102}
    spike_limit_mib: ${env:SIDELIGHT_MEMORY_SPIKE_MIB:-25}
  resource:
    attributes:
    - key: k8s.namespace.name
      value: ${env:POD_NAMESPACE}
      action: insert
    - key: k8s.node.name
      value: ${env:NODE_NAME}
      action: insert
    - key: k8s.pod.name
      value: ${env:POD_NAME}
      action: insert
    - key: service.instance.id
      value: ${env:POD_NAME}
      action: insert
  redaction:
    allow_all_keys: true
    blocked_key_patterns:
    - "(?i:(?:password|passwd|passwrd|passphrase|passcode|passwort|kennwort|contrase\xF1\
      a|contrasena|wachtwoord|credential|authorization))|(?i:(?:dbpass|pwd|has\u0142\
      o|\u043F\u0430\u0440\u043E\u043B\u044C|\u5BC6\u7801|\u5BC6\u78BC|\u30D1\u30B9\
      \u30EF\u30FC\u30C9|secret|secrets|basic[\\W_]{0,2}auth|token|tokens|cookie|cookies|session[\\\
      W_]{0,2}id|sessid|api[\\W_]{0,2}key|api[\\W_]{0,2}keys|access[\\W_]{0,2}key|account[\\\
      W_]{0,2}key|auth[\\W_]{0,2}key|client[\\W_]{0,2}key|decryption[\\W_]{0,2}key|deploy[\\\
      W_]{0,2}key|encryption[\\W_]{0,2}key|fernet[\\W_]{0,2}key|host[\\W_]{0,2}key|integration[\\\
      W_]{0,2}key|license[\\W_]{0,2}key|master[\\W_]{0,2}key|private[\\W_]{0,2}key|routing[\\\
      W_]{0,2}key|secret[\\W_]{0,2}key|service[\\W_]{0,2}key|session[\\W_]{0,2}key|shared[\\\
      W_]{0,2}key|signing[\\W_]{0,2}key|ssh[\\W_]{0,2}key|storage[\\W_]{0,2}key|signature|card[\\\
      W_]{0,2}number|account[\\W_]{0,2}number))(?:[^A-Za-z]|$)|(?:(?:dbpass|pwd|has\u0142\
      o|\u043F\u0430\u0440\u043E\u043B\u044C|\u5BC6\u7801|\u5BC6\u78BC|\u30D1\u30B9\
      \u30EF\u30FC\u30C9|secret|secrets|basicAuth|token|tokens|cookie|cookies|sessionId|sessid|apiKey|apiKeys|accessKey|accountKey|authKey|clientKey|decryptionKey|deployKey|encryptionKey|fernetKey|hostKey|integrationKey|licenseKey|masterKey|privateKey|routingKey|secretKey|serviceKey|sessionKey|sharedKey|signingKey|sshKey|storageKey|signature|cardNumber|accountNumber)|(?:Dbpass|Pwd|Has\u0142\
      o|\u041F\u0430\u0440\u043E\u043B\u044C|\u5BC6\u7801|\u5BC6\u78BC|\u30D1\u30B9\
      \u30EF\u30FC\u30C9|Secret|Secrets|BasicAuth|Token|Tokens|Cookie|Cookies|SessionId|Sessid|ApiKey|ApiKeys|AccessKey|AccountKey|AuthKey|ClientKey|DecryptionKey|DeployKey|EncryptionKey|FernetKey|HostKey|IntegrationKey|LicenseKey|MasterKey|PrivateKey|RoutingKey|SecretKey|ServiceKey|SessionKey|SharedKey|SigningKey|SshKey|StorageKey|Signature|CardNumber|AccountNumber))[A-Z]|(?:DBPASS|PWD|HAS\u0141\
      O|\u041F\u0410\u0420\u041E\u041B\u042C|\u5BC6\u7801|\u5BC6\u78BC|\u30D1\u30B9\
      \u30EF\u30FC\u30C9|SECRET|SECRETS|BASIC AUTH|TOKEN|TOKENS|COOKIE|COOKIES|SESSION\
      \ ID|SESSID|API KEY|API KEYS|ACCESS KEY|ACCOUNT KEY|AUTH KEY|CLIENT KEY|DECRYPTION\
      \ KEY|DEPLOY KEY|ENCRYPTION KEY|FERNET KEY|HOST KEY|INTEGRATION KEY|LICENSE\
      \ KEY|MASTER KEY|PRIVATE KEY|ROUTING KEY|SECRET KEY|SERVICE KEY|SESSION KEY|SHARED\
      \ KEY|SIGNING KEY|SSH KEY|STORAGE KEY|SIGNATURE|CARD NUMBER|ACCOUNT NUMBER)[A-Z][a-z]|(?:^|[^A-Za-z])(?:(?i:(?:pass|pw|pin|pin[\\\
      W_]{0,2}code|mot[\\W_]{0,2}de[\\W_]{0,2}passe|senha|secret[\\W_]{0,2}id|creds|auth|bearer|jwt|csrf|xsrf|session|sessions|sid|aes[\\\
      W_]{0,2}key|rsa[\\W_]{0,2}key|hmac[\\W_]{0,2}key|hmac|salt|sig|code[\\W_]{0,2}verifier|saml[\\\
      W_]{0,2}response|saml[\\W_]{0,2}request|client[\\W_]{0,2}assertion|saml[\\W_]{0,2}assertion|otp|totp|one[\\\
      W_]{0,2}time[\\W_]{0,2}code|mfa[\\W_]{0,2}code|auth[\\W_]{0,2}code|authorization[\\\
      W_]{0,2}code|verification[\\W_]{0,2}code|security[\\W_]{0,2}code|recovery[\\\
      W_]{0,2}code|recovery[\\W_]{0,2}codes|backup[\\W_]{0,2}codes|mnemonic|seed[\\\
      W_]{0,2}phrase|card[\\W_]{0,2}no|credit[\\W_]{0,2}card|debit[\\W_]{0,2}card|cc[\\\
      W_]{0,2}number|ccnum|pan|cvv|cvv2|cvc|cvc2|iban|routing[\\W_]{0,2}number|sort[\\\
      W_]{0,2}code|ssn|social[\\W_]{0,2}security|social[\\W_]{0,2}security[\\W_]{0,2}number|tax[\\\
      W_]{0,2}id|national[\\W_]{0,2}id|passport|passport[\\W_]{0,2}number))(?:[^A-Za-z]|$)|(?:(?:pass|pw|pin|pinCode|motDePasse|senha|secretId|creds|auth|bearer|jwt|csrf|xsrf|session|sessions|sid|aesKey|rsaKey|hmacKey|hmac|salt|sig|codeVerifier|samlResponse|samlRequest|clientAssertion|samlAssertion|otp|totp|oneTimeCode|mfaCode|authCode|authorizationCode|verificationCode|securityCode|recoveryCode|recoveryCodes|backupCodes|mnemonic|seedPhrase|cardNo|creditCard|debitCard|ccNumber|ccnum|pan|cvv|cvv2|cvc|cvc2|iban|routingNumber|sortCode|ssn|socialSecurity|socialSecurityNumber|taxId|nationalId|passport|passportNumber)|(?:Pass|Pw|Pin|PinCode|MotDePasse|Senha|SecretId|Creds|Auth|Bearer|Jwt|Csrf|Xsrf|Session|Sessions|Sid|AesKey|RsaKey|HmacKey|Hmac|Salt|Sig|CodeVerifier|SamlResponse|SamlRequest|ClientAssertion|SamlAssertion|Otp|Totp|OneTimeCode|MfaCode|AuthCode|AuthorizationCode|VerificationCode|SecurityCode|RecoveryCode|RecoveryCodes|BackupCodes|Mnemonic|SeedPhrase|CardNo|CreditCard|DebitCard|CcNumber|Ccnum|Pan|Cvv|Cvv2|Cvc|Cvc2|Iban|RoutingNumber|SortCode|Ssn|SocialSecurity|SocialSecurityNumber|TaxId|NationalId|Passport|PassportNumber))[A-Z]|(?:PASS|PW|PIN|PIN\
      \ CODE|MOT DE PASSE|SENHA|SECRET ID|CREDS|AUTH|BEARER|JWT|CSRF|XSRF|SESSION|SESSIONS|SID|AES\
      \ KEY|RSA KEY|HMAC KEY|HMAC|SALT|SIG|CODE VERIFIER|SAML RESPONSE|SAML REQUEST|CLIENT\
      \ ASSERTION|SAML ASSERTION|OTP|TOTP|ONE TIME CODE|MFA CODE|AUTH CODE|AUTHORIZATION\
      \ CODE|VERIFICATION CODE|SECURITY CODE|RECOVERY CODE|RECOVERY CODES|BACKUP CODES|MNEMONIC|SEED\
      \ PHRASE|CARD NO|CREDIT CARD|DEBIT CARD|CC NUMBER|CCNUM|PAN|CVV|CVV2|CVC|CVC2|IBAN|ROUTING\
      \ NUMBER|SORT CODE|SSN|SOCIAL SECURITY|SOCIAL SECURITY NUMBER|TAX ID|NATIONAL\
      \ ID|PASSPORT|PASSPORT NUMBER)[A-Z][a-z])|[A-Za-z0-9](?:Pass|Pw|Pin|PinCode|MotDePasse|Senha|SecretId|Creds|Auth|Bearer|Jwt|Csrf|Xsrf|Session|Sessions|Sid|AesKey|RsaKey|HmacKey|Hmac|Salt|Sig|CodeVerifier|SamlResponse|SamlRequest|ClientAssertion|SamlAssertion|Otp|Totp|OneTimeCode|MfaCode|AuthCode|AuthorizationCode|VerificationCode|SecurityCode|RecoveryCode|RecoveryCodes|BackupCodes|Mnemonic|SeedPhrase|CardNo|CreditCard|DebitCard|CcNumber|Ccnum|Pan|Cvv|Cvv2|Cvc|Cvc2|Iban|RoutingNumber|SortCode|Ssn|SocialSecurity|SocialSecurityNumber|TaxId|NationalId|Passport|PassportNumber)(?:[^a-z]|$)|[a-z0-9](?:PASS|PW|PIN|PIN\
      \ CODE|MOT DE PASSE|SENHA|SECRET ID|CREDS|AUTH|BEARER|JWT|CSRF|XSRF|SESSION|SESSIONS|SID|AES\
      \ KEY|RSA KEY|HMAC KEY|HMAC|SALT|SIG|CODE VERIFIER|SAML RESPONSE|SAML REQUEST|CLIENT\
      \ ASSERTION|SAML ASSERTION|OTP|TOTP|ONE TIME CODE|MFA CODE|AUTH CODE|AUTHORIZATION\
      \ CODE|VERIFICATION CODE|SECURITY CODE|RECOVERY CODE|RECOVERY CODES|BACKUP CODES|MNEMONIC|SEED\
      \ PHRASE|CARD NO|CREDIT CARD|DEBIT CARD|CC NUMBER|CCNUM|PAN|CVV|CVV2|CVC|CVC2|IBAN|ROUTING\
      \ NUMBER|SORT CODE|SSN|SOCIAL SECURITY|SOCIAL SECURITY NUMBER|TAX ID|NATIONAL\
      \ ID|PASSPORT|PASSPORT NUMBER)(?:[^A-Z]|[A-Z][a-z]|$)"
    blocked_values:
    - '-----BEGIN [A-Z0-9 ]{1,60}-----(?s:.*?)(?:-----END [A-Z0-9 ]{1,60}-----|$$)'
    - (://)(?:[^\s/?#\"'<>:@]{0,100}:[0-9]{0,100}[^\s0-9/?#\"'<>][^\s\"'<>]{0,300}|[^\s/?#\"'<>]{1,300})(@)
    - '(\[parameters: )(?s:.*?)(\]\n|\]?$$)'
    - (\[(?:generated in|cached since|caching disabled|no key|raw sql|dialect|insertmanyvalues)[^\]\n]{0,80}\]
      |\b(?:Row|Col) |; args=|functools\.partial\()[(\[{<](?s:.*)$$
    - (?i)(\b(?:identified\s{1,9}(?:with\s{1,9}[\w.\"'`]{1,60}\s{1,9})?(?:by|as)|password)\s{1,9}(?:password\s{1,9})?['\"])(?:[^'\"\\]|\\.|''|\"\")*
    - ([?&](?:code|key|ticket|assertion|samlresponse|samlrequest)=)[^&\s\"'<>#,;)]{4,}
    - (input_value=)(?s:.{0,300}?)(, input_type=)
    - (\bcurl\b[^\n|]{0,200}?\s(?:-u|--user)[ =]?[\"']?[^\s:\"'<$$]{1,100}:)[^\s\"']+
    - (?i)(\bbearer\s{1,9})[a-z0-9._~+/=-]{6,}
    - (?i)(\bbasic\s{1,9})[a-z0-9+/_-]{7,}={0,2}
    - '[^\s@,;:<>()\"''\[\]{}=/\\|&?!*]{0,64}[^\s@,;:<>()\"\[\]\\*]@(?:[^\s@,;:<>()\"''\[\]{}=/\\|&?!*.]{1,63}\.){1,15}[^\s@,;:<>()\"''\[\]{}=/\\|&?!*.0-9][^\s@,;:<>()\"''\[\]{}=/\\|&?!*.]{1,62}'
    - \bZXlK[A-Za-z0-9+/_-]{20,}={0,2}|(?:\beyJ[A-Za-z0-9_-]{6}|eyJ[A-Za-z0-9_-]{4}iO)[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){0,4}(?:\s{1,9}[A-Za-z0-9_.-]{24,})*
    - (?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16,}
    - AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{10,}|GOCSPX-[A-Za-z0-9_-]{16,}
    - gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}
    - gl(?:pat|dt|rt|ptt|ft|soat|cbt|imt|agent|oas)-[A-Za-z0-9_.-]{16,}
    - xox[a-z]-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,}|hooks\.slack\.com/[a-z]{1,20}/[A-Za-z0-9_/+-]{8,}
    - '[sr]k_(?:live|test|prod)_[A-Za-z0-9]{8,}|whsec_[A-Za-z0-9+/=]{8,}'
    - \bsk-[A-Za-z0-9_-]{20,}|\bhf_[A-Za-z0-9]{20,}
    - \bnpm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,}|dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}
    - \bSG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,}|\bSK[0-9a-f]{32}|\bkey-[0-9a-f]{32}|[0-9]{8,10}:AA[A-Za-z0-9_-]{32,}
    - \bhv[sbr]\.[A-Za-z0-9_-]{20,}|do[opr]_v1_[a-f0-9]{32,}|shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{16,}|\bdapi[0-9a-f]{30,}|gl(?:sa|c)_[A-Za-z0-9_+/=]{20,}|NRAK-[A-Z0-9]{20,}|\bsq0[a-z]{3}-[A-Za-z0-9_-]{20,}|ATATT3[A-Za-z0-9_=-]{30,}|AGE-SECRET-KEY-1[A-Z0-9]{20,}
    - \bA3-[A-Z0-9]{6}-[A-Z0-9-]{11,12}(?:-[A-Z0-9]{5}){3}|\bops_eyJ[A-Za-z0-9+/]{40,}|\bLTAI[A-Za-z0-9]{16,}|\bABSK[A-Za-z0-9+/]{60,}|\bbedrock-api-key-[A-Za-z0-9+/=]{20,}|\bCLOJARS_[a-z0-9]{40,}|\bv1\.0-[a-f0-9]{24}-[a-f0-9]{100,}|\bdp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{30,}|\bdt0[a-z][0-9]{2}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{40,}|\bfo1_[A-Za-z0-9_-]{40,}|\bglffct-[A-Za-z0-9_-]{20,}|\bGR1348941[A-Za-z0-9_-]{20,}|\bHRKU-[A-Za-z0-9_-]{30,}|\bico-[A-Za-z0-9]{32}|\bsha256~[A-Za-z0-9_-]{40,}|\bpscale_[a-z]{2,6}_[A-Za-z0-9=._-]{30,}|\bpnu_[A-Za-z0-9]{36}|\bpul-[a-f0-9]{40}|\brubygems_[a-f0-9]{48}|\btk-us-[A-Za-z0-9_-]{40,}|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,}|\bt1\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{60,}|\bAQVN[A-Za-z0-9_-]{30,}|\bYC[A-Z][A-Za-z0-9_-]{37}
    - \bp8e-[a-f0-9]{32}|\bpat[A-Za-z0-9]{14}\.[a-f0-9]{64}|\bAKCp[A-Za-z0-9]{60,}|\bcmVmd[A-Za-z0-9]{50,}|\bduffel_(?:test|live)_[A-Za-z0-9_=-]{30,}|\bEZ[AT]K[A-Za-z0-9]{50,}|\bEAA[MC][A-Za-z0-9]{80,}|\bFLW(?:PUB|SEC)K_TEST-[A-Za-z0-9-]{12,}|\bfio-u-[A-Za-z0-9_=-]{40,}|\bapi_org_[A-Za-z]{30,}|\bs-s4t2(?:ud|af)-[a-f0-9]{64}|\blin_api_[A-Za-z0-9]{30,}|\bpubkey-[a-f0-9]{32}|\bpk\.[A-Za-z0-9]{60}\.[A-Za-z0-9_-]{20,}|\bNR(?:AK|JS|II)-[A-Za-z0-9-]{16,}|\bntn_[0-9]{10,}[A-Za-z0-9]{30,}|\bAPI-[A-Z0-9]{25,}|\bpplx-[A-Za-z0-9]{40,}|\baccess-(?:sandbox|development|production)-[a-f0-9-]{36}|\bPMAK-[a-f0-9-]{50,}|\brdme_[a-z0-9]{60,}|\bxkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16}|\bsntry[a-z]_[A-Za-z0-9_+/=]{40,}|\bsm_[aps]at_[A-Za-z0-9]{16}|\bshippo_(?:live|test)_[a-f0-9]{40}|\bsgp_[A-Za-z0-9_]{40,}|\btfp_[A-Za-z0-9_.=-]{50,}|webhook\.office\.com/webhookb2/[A-Za-z0-9@/-]{80,}
    summary: silent
exporters:
  otlp_http/gateway:
    endpoint: http://sidelight-gateway.monitoring:4318
    timeout: 10s
    retry_on_failure:
      enabled: true
      initial_interval: ${env:SIDELIGHT_RETRY_INTERVAL:-5s}
      max_elapsed_time: 0s
    sending_queue:
      enabled: true
      storage: file_storage
      queue_size: 1000
      batch:
        flush_timeout: 1s
        min_size: 512
        max_size: 2048
        sizer: items
service:
  extensions:
  - health_check
  - file_storage
  telemetry:
    metrics:
      level: normal
      readers:
      - pull:
          exporter:
            prometheus:
              host: ${env:POD_IP:-127.0.0.1}
              port: ${env:SIDELIGHT_METRICS_PORT:-8888}
  pipelines:
    traces:
      receivers:
      - otlp
      processors:
      - memory_limiter
      - resource
      - redaction
      exporters:
      - otlp_http/gateway
{{- end -}}
