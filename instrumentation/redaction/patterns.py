"""The secrets that are masked, as plain data for the code that masks, the reference page and the collector.

Every regular expression keeps to what RE2 and Python have in common (no looking around, no backreferences), so that the
OpenTelemetry Collector masks by the same text. What its groups hold stays, the rest of a match is masked. None repeats
without end what may then not match, so its time is linear.
"""

from __future__ import annotations

from dataclasses import dataclass

MASK = "***"

KEYS = (
    "*password*", "*passwd*", "*passwrd*", "*passphrase*", "*passcode*", "*dbpass", "pass", "*pwd", "pw", "pin", "pin code",
    "*passwort*", "*kennwort*", "mot de passe", "*contraseña*", "*contrasena*", "senha", "*wachtwoord*", "*hasło",
    "*пароль", "*密码", "*密碼", "*パスワード",
    "*secret", "*secrets", "secret id", "*credential*", "creds", "*authorization*", "auth", "*basic auth", "bearer",
    "*token", "*tokens", "jwt", "csrf", "xsrf", "*cookie", "*cookies", "session", "sessions", "*session id", "*sessid", "sid",
    "*api key", "*api keys", "*access key", "*account key", "*auth key", "*client key", "*decryption key", "*deploy key",
    "*encryption key", "*fernet key", "*host key", "*integration key", "*license key", "*master key", "*private key", "*routing key",
    "*secret key", "*service key", "*session key", "*shared key", "*signing key", "*ssh key", "*storage key",
    "aes key", "rsa key", "hmac key", "hmac", "salt", "sig", "*signature",
    "code verifier", "saml response", "saml request", "client assertion", "saml assertion", "otp", "totp", "one time code", "mfa code", "auth code", "authorization code", "verification code", "security code",
    "recovery code", "recovery codes", "backup codes", "mnemonic", "seed phrase",
    "*card number", "card no", "credit card", "debit card", "cc number", "ccnum", "pan", "cvv", "cvv2", "cvc", "cvc2",
    "iban", "*account number", "routing number", "sort code",
    "ssn", "social security", "social security number", "tax id", "national id", "passport", "passport number",
)  # fmt: skip
"""Keys whose value is always masked. A blank stands for any separator or none, ``*`` for letters before or
behind; case and camelCase do not matter. Without ``*`` only the whole word counts: ``pin`` is not in ``shipping``."""

HARMLESS = (
    "count", "counts", "total", "length", "len", "size", "limit", "min", "max", "used", "usage", "remaining", "budget",
    "cost", "rate", "ratio", "per second", "type", "types", "kind", "policy", "status", "state", "version", "scheme",
    "method", "provider", "algorithm", "alg", "url", "uri", "endpoint", "host", "domain", "file", "path", "dir", "name",
    "expires", "expiry", "expiration", "expired", "at", "in", "out", "on", "ttl", "age", "timeout", "duration",
    "seconds", "ms", "days", "required", "requested", "changed", "rotated", "revoked", "enabled", "disabled", "valid",
    "invalid", "verified", "missing", "present", "failed", "failure", "failures", "attempts", "retries", "sent",
    "created", "updated", "issued", "deleted", "error", "errors", "exception", "warning", "mismatch", "denied", "rejected",
    "found",
)  # fmt: skip
"""Last words of keys that say something about a secret and not the secret itself: ``token_count``."""

COUNTED = ("*tokens", "*cookies", "sessions", "session", "auth", "sid", "sig", "salt", "csrf", "xsrf", "passport")
"""Keys that may contain a count or a port: a number of at most 15 characters is not masked. In a text, three or more ordinary
words after such a key and a colon are not masked either: ``session: opened for user 7``."""

NUMBERED = (
    "*card number", "card no", "credit card", "debit card", "cc number", "ccnum", "cvv", "cvv2", "cvc", "cvc2",
    "iban", "*account number", "routing number", "sort code", "ssn", "social security", "social security number",
    "tax id", "national id", "passport number",
)  # fmt: skip
"""Keys of numbers: in a text, a value without a digit is not masked: ``sort code: python``."""

STATEMENTS = (
    "must", "should", "may", "has", "have", "had", "cannot", "required", "missing", "invalid", "expired", "incorrect", "wrong",
    "changed", "reset", "updated", "loaded", "opened", "closed", "valid", "failed", "denied", "rejected", "accepted",
    "received", "verified", "disabled", "enabled", "check", "checked", "passed", "found", "does",
)  # fmt: skip
"""Words that say something about a secret. In a text, such a word after a key and a colon, and ordinary words after it, are
not masked: ``password: must have 12 characters``."""

FEW = ("pass", "pin", "pan")
"""Keys that may contain a small count, such as of passed tests: a number of at most three digits is not masked."""

WHOLE_LINE = ("*authorization*", "*cookie", "*cookies")
"""Keys whose value in a text ends with its line: these headers hold blanks, commas and semicolons."""


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """A form that secrets have.

    Attributes:
        name: What ``logging.redaction.allow`` calls it.
        hides: What it finds, for the reference page.
        regex: The form. What its first group holds is kept before the mask, its second behind.
        needs: A text that holds none of these, in lower case, cannot match.
        judged: Python also judges what matches, by a checksum or a word list; the collector masks all that matches.
    """

    name: str
    hides: str
    regex: str
    needs: tuple[str, ...]
    judged: bool = False


_NO_MAIL = r"\s@,;:<>()\"'\[\]{}=/\\|&?!*"

PATTERNS = (
    Pattern(
        name="pem",
        hides="PEM blocks: private keys, certificates; one that does not end, up to the end of the text",
        regex=r"-----BEGIN [A-Z0-9 ]{1,60}-----(?s:.*?)(?:-----END [A-Z0-9 ]{1,60}-----|$)",
        needs=("-----begin ",),
    ),
    Pattern(
        name="url_credentials",
        hides="user and password in an address: `https://user:password@host`",
        regex=r"(://)(?:[^\s/?#\"'<>:@]{0,100}:[0-9]{0,100}[^\s0-9/?#\"'<>][^\s\"'<>]{0,300}|[^\s/?#\"'<>]{1,300})(@)",
        needs=("://",),
    ),
    Pattern(
        name="sql_parameters",
        hides="the parameters in SQLAlchemy's errors",
        regex=r"(\[parameters: )(?s:.*?)(\]\n|\]?$)",
        needs=("[parameters: ",),
    ),
    Pattern(
        name="sql_engine",
        hides="the parameters and rows in the lines of SQLAlchemy's engine, Django's database and aiosqlite",
        regex=r"(\[(?:generated in|cached since|caching disabled|no key|raw sql|dialect|insertmanyvalues)[^\]\n]{0,80}\] |\b(?:Row|Col) "
        r"|; args=|functools\.partial\()[(\[{<](?s:.*)$",
        needs=(
            "[generated in",
            "[cached since",
            "[caching disabled",
            "[no key",
            "[raw sql",
            "[dialect",
            "[insertmanyvalues",
            "row (",
            "row [",
            "row {",
            "row <",
            "col (",
            "col [",
            "col {",
            "col <",
            "; args=",
            "functools.partial(",
        ),
    ),
    Pattern(
        name="sql_password",
        hides="the password in SQL: `IDENTIFIED BY '...'`, `WITH PASSWORD '...'`",
        regex=r"(?i)(\b(?:identified\s{1,9}(?:with\s{1,9}[\w.\"'`]{1,60}\s{1,9})?(?:by|as)|password)\s{1,9}(?:password\s{1,9})?['\"])"
        r"(?:[^'\"\\]|\\.|''|\"\")*",
        needs=("identified", "password"),
    ),
    Pattern(
        name="url_code",
        hides="codes and keys in a query: `?code=`, `&key=`, `&ticket=`",
        regex=r"([?&](?:code|key|ticket|assertion|samlresponse|samlrequest)=)[^&\s\"'<>#,;)]{4,}",
        needs=("code=", "key=", "ticket=", "assertion=", "samlre"),
    ),
    Pattern(
        name="validation_input",
        hides="the input in pydantic's errors",
        regex=r"(input_value=)(?s:.{0,300}?)(, input_type=)",
        needs=("input_value=",),
    ),
    Pattern(
        name="curl",
        hides="the password of `curl -u user:password`",
        regex=r"(\bcurl\b[^\n|]{0,200}?\s(?:-u|--user)[ =]?[\"']?[^\s:\"'<$]{1,100}:)[^\s\"']+",
        needs=("curl",),
        judged=True,
    ),
    Pattern(
        name="bearer",
        hides="what follows `Bearer`",
        regex=r"(?i)(\bbearer\s{1,9})[a-z0-9._~+/=-]{6,}",
        needs=("bearer",),
        judged=True,
    ),
    Pattern(
        name="basic",
        hides="user and password in base64 behind `Basic`",
        regex=r"(?i)(\bbasic\s{1,9})[a-z0-9+/_-]{7,}={0,2}",
        needs=("basic",),
        judged=True,
    ),
    Pattern(
        name="email",
        hides="e-mail addresses, but not `git@host:` of a repository",
        regex=rf"[^{_NO_MAIL}]{{0,64}}[^\s@,;:<>()\"\[\]\\*]@(?:[^{_NO_MAIL}.]{{1,63}}\.){{1,15}}[^{_NO_MAIL}.0-9][^{_NO_MAIL}.]{{1,62}}",
        needs=("@",),
        judged=True,
    ),
)
"""Forms of which any text may hold one, in the order in which they are looked for."""

CARDS = (
    (r"4", (16,)),  # Visa
    (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,)),  # Mastercard
    (r"3[47]", (15,)),  # American Express
    (r"30[0-59]|36|3[89]", (14,)),  # Diners Club
    (r"6[05]|64[4-9]", (16, 19)),  # Discover, RuPay
    (r"35(?:2[89]|[3-8])", (16, 19)),  # JCB
    (r"62", (16, 17, 18, 19)),  # UnionPay
    (r"50(?:18|20|38)|5893|6304|6759|676[1-3]", (16, 18, 19)),  # Maestro
    (r"220[0-4]", (16, 19)),  # Mir
    (r"9792", (16,)),  # Troy
)
"""First digits and lengths of card numbers. Source: the issuers' ranges of ISO/IEC 7812, as the brands publish them."""

NUMBERS = (
    Pattern(
        name="card",
        hides="card numbers of the usual brands that pass Luhn's check, in one piece or in the brand's groups",
        regex="|".join(
            (
                r"[2-9][0-9]{13,18}",
                *(rf"[2-9][0-9]{{3}}(?:{s}[0-9]{{4}}){{3}}(?:{s}[0-9]{{3}})?" for s in (r"\s", "-", r"\.")),
                *(rf"3[0-9]{{3}}{s}[0-9]{{6}}{s}[0-9]{{4,5}}" for s in (r"\s", "-", r"\.")),
            )
        ),
        needs=("",),
        judged=True,
    ),
    Pattern(
        name="iban",
        hides="account numbers (IBAN) that pass their check",
        regex=r"\b[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?",
        needs=("",),
        judged=True,
    ),
)
"""Numbers with a checksum."""

TOKENS = (
    Pattern(
        name="jwt",
        hides="JSON Web Tokens and other signed JSON, also over several lines or in base64",
        regex=r"\bZXlK[A-Za-z0-9+/_-]{20,}={0,2}|(?:\beyJ[A-Za-z0-9_-]{6}|eyJ[A-Za-z0-9_-]{4}iO)[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){0,4}(?:\s{1,9}[A-Za-z0-9_.-]{24,})*",
        needs=("eyj", "zxlk"),
    ),
    Pattern(
        name="aws",
        hides="AWS access keys",
        regex=r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16,}",
        needs=("akia", "asia", "abia", "acca"),
    ),
    Pattern(
        name="google",
        hides="Google API keys and OAuth tokens",
        regex=r"AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{10,}|GOCSPX-[A-Za-z0-9_-]{16,}",
        needs=("aiza", "ya29.", "gocspx-"),
    ),
    Pattern(
        name="github",
        hides="GitHub tokens",
        regex=r"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}",
        needs=("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    ),
    Pattern(
        name="gitlab",
        hides="GitLab tokens",
        regex=r"gl(?:pat|dt|rt|ptt|ft|soat|cbt|imt|agent|oas)-[A-Za-z0-9_.-]{16,}",
        needs=("glpat-", "gldt-", "glrt-", "glptt-", "glft-", "glsoat-", "glcbt-", "glimt-", "glagent-", "gloas-"),
    ),
    Pattern(
        name="slack",
        hides="Slack tokens and webhooks",
        regex=r"xox[a-z]-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,}|hooks\.slack\.com/[a-z]{1,20}/[A-Za-z0-9_/+-]{8,}",
        needs=("xox", "xapp-", "hooks.slack.com/"),
    ),
    Pattern(
        name="stripe",
        hides="Stripe keys",
        regex=r"[sr]k_(?:live|test|prod)_[A-Za-z0-9]{8,}|whsec_[A-Za-z0-9+/=]{8,}",
        needs=("sk_", "rk_", "whsec_"),
    ),
    Pattern(
        name="ai",
        hides="OpenAI, Anthropic and Hugging Face keys",
        regex=r"\bsk-[A-Za-z0-9_-]{20,}|\bhf_[A-Za-z0-9]{20,}",
        needs=("sk-", "hf_"),
    ),
    Pattern(
        name="package",
        hides="npm, PyPI and Docker Hub tokens",
        regex=r"\bnpm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,}|dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}",
        needs=("npm_", "pypi-", "dckr_"),
    ),
    Pattern(
        name="messaging",
        hides="SendGrid, Twilio, Mailgun and Telegram keys",
        regex=r"\bSG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,}|\bSK[0-9a-f]{32}|\bkey-[0-9a-f]{32}|[0-9]{8,10}:AA[A-Za-z0-9_-]{32,}",
        needs=("sg.", "sk", "key-", ":aa"),
    ),
    Pattern(
        name="platform",
        hides="Vault, DigitalOcean, Shopify, Databricks, Grafana, New Relic, Square, Atlassian and age keys",
        regex=r"\bhv[sbr]\.[A-Za-z0-9_-]{20,}|do[opr]_v1_[a-f0-9]{32,}|shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{16,}|\bdapi[0-9a-f]{30,}"
        r"|gl(?:sa|c)_[A-Za-z0-9_+/=]{20,}|NRAK-[A-Z0-9]{20,}|\bsq0[a-z]{3}-[A-Za-z0-9_-]{20,}"
        r"|ATATT3[A-Za-z0-9_=-]{30,}|AGE-SECRET-KEY-1[A-Z0-9]{20,}",
        needs=(
            "hvs.", "hvb.", "hvr.", "doo_v1_", "dop_v1_", "dor_v1_", "shpat_", "shpca_", "shppa_", "shpss_", "dapi",
            "glsa_", "glc_", "nrak-", "sq0", "atatt3", "age-secret-key-",
        ),
    ),
    Pattern(
        name="cloud",
        hides="1Password, Alibaba, Bedrock, Clojars, Cloudflare, Doppler, Dynatrace, Fly, GitLab runner, Heroku, Infracost, OpenShift, "
        "PlanetScale, Prefect, Pulumi, RubyGems, Scalingo, Terraform and Yandex keys",
        regex=r"\bA3-[A-Z0-9]{6}-[A-Z0-9-]{11,12}(?:-[A-Z0-9]{5}){3}|\bops_eyJ[A-Za-z0-9+/]{40,}|\bLTAI[A-Za-z0-9]{16,}|\bABSK[A-Za-z0-9+/]{60,}"
        r"|\bbedrock-api-key-[A-Za-z0-9+/=]{20,}|\bCLOJARS_[a-z0-9]{40,}|\bv1\.0-[a-f0-9]{24}-[a-f0-9]{100,}"
        r"|\bdp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{30,}|\bdt0[a-z][0-9]{2}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{40,}|\bfo1_[A-Za-z0-9_-]{40,}"
        r"|\bglffct-[A-Za-z0-9_-]{20,}|\bGR1348941[A-Za-z0-9_-]{20,}|\bHRKU-[A-Za-z0-9_-]{30,}|\bico-[A-Za-z0-9]{32}|\bsha256~[A-Za-z0-9_-]{40,}"
        r"|\bpscale_[a-z]{2,6}_[A-Za-z0-9=._-]{30,}|\bpnu_[A-Za-z0-9]{36}|\bpul-[a-f0-9]{40}|\brubygems_[a-f0-9]{48}|\btk-us-[A-Za-z0-9_-]{40,}"
        r"|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,}|\bt1\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{60,}|\bAQVN[A-Za-z0-9_-]{30,}|\bYC[A-Z][A-Za-z0-9_-]{37}",
        needs=(
            "a3-", "ops_eyj", "ltai", "absk", "bedrock-api-key-", "clojars_", "v1.0-", "dp.", "dt0", "fo1_", "glffct-", "gr1348941",
            "hrku-", "ico-", "sha256~", "pscale_", "pnu_", "pul-", "rubygems_", "tk-us-", ".atlasv1.", "t1.", "aqvn", "yc",
        ),
    ),
    Pattern(
        name="service",
        hides="Adobe, Airtable, Artifactory, Duffel, EasyPost, Facebook, Flutterwave, Frame.io, Hugging Face organization, Intra42, Linear, "
        "Mailgun public, Mapbox, New Relic, Notion, Octopus Deploy, Perplexity, Plaid, Postman, ReadMe, Sendinblue, Sentry, SettleMint, "
        "Shippo, Sourcegraph, Typeform and Microsoft Teams keys",
        regex=r"\bp8e-[a-f0-9]{32}|\bpat[A-Za-z0-9]{14}\.[a-f0-9]{64}|\bAKCp[A-Za-z0-9]{60,}|\bcmVmd[A-Za-z0-9]{50,}|\bduffel_(?:test|live)_[A-Za-z0-9_=-]{30,}"
        r"|\bEZ[AT]K[A-Za-z0-9]{50,}|\bEAA[MC][A-Za-z0-9]{80,}|\bFLW(?:PUB|SEC)K_TEST-[A-Za-z0-9-]{12,}|\bfio-u-[A-Za-z0-9_=-]{40,}"
        r"|\bapi_org_[A-Za-z]{30,}|\bs-s4t2(?:ud|af)-[a-f0-9]{64}|\blin_api_[A-Za-z0-9]{30,}|\bpubkey-[a-f0-9]{32}|\bpk\.[A-Za-z0-9]{60}\.[A-Za-z0-9_-]{20,}"
        r"|\bNR(?:AK|JS|II)-[A-Za-z0-9-]{16,}|\bntn_[0-9]{10,}[A-Za-z0-9]{30,}|\bAPI-[A-Z0-9]{25,}|\bpplx-[A-Za-z0-9]{40,}"
        r"|\baccess-(?:sandbox|development|production)-[a-f0-9-]{36}|\bPMAK-[a-f0-9-]{50,}|\brdme_[a-z0-9]{60,}|\bxkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16}"
        r"|\bsntry[a-z]_[A-Za-z0-9_+/=]{40,}|\bsm_[aps]at_[A-Za-z0-9]{16}|\bshippo_(?:live|test)_[a-f0-9]{40}|\bsgp_[A-Za-z0-9_]{40,}|\btfp_[A-Za-z0-9_.=-]{50,}"
        r"|webhook\.office\.com/webhookb2/[A-Za-z0-9@/-]{80,}",
        needs=(
            "p8e-", "pat", "akcp", "cmvmd", "duffel_", "ezak", "eztk", "eaam", "eaac", "flw", "fio-u-", "api_org_", "s-s4t2", "lin_api_",
            "pubkey-", "pk.", "nrak-", "nrjs-", "nrii-", "ntn_", "api-", "pplx-", "access-", "pmak-", "rdme_", "xkeysib-", "sntry", "sm_",
            "shippo_", "sgp_", "tfp_", "webhook.office.com/",
        ),
    ),
)  # fmt: skip
"""Keys and tokens that say what they are. Each is a run of at least 15 characters."""
