/* Vectors of RFC 2202, 4231, 4648, 7515 and FIPS 180-4; what providers publish is tested with the providers.
 */
#include "core/mac.h"

#include <check.h>
#include <errno.h>
#include <string.h>
#include "core/base64url.h"

/* Made for this test alone, with "openssl genrsa"; so is the signature, with "openssl dgst -sha256 -sign". */
static const char KEY_PKCS1[] = "-----BEGIN RSA PRIVATE KEY-----\n"
                                "MIIEogIBAAKCAQEA0fHv6UUIVrVqpBAkyn5Y5r55Vq+Ff7m6IC8LWzH9oMHVghyp\n"
                                "w3N7OQopNY/llMlPSqPXYp3w2fylWWc4SZZIjqaTKKtmteqLfICTEQE6nqd1ZLGi\n"
                                "fDJt8NUApncpfJQ28ZdgpasDLV0ZTYFPZWUx4tIInnvBty6Ha9M7HaeT0H8a2pVy\n"
                                "y+sMwcLEyrF+1Ojs6QkpvGhMOS9FgSt2bH5xJPRHnROY8582zrepprxMx+NMxILj\n"
                                "edU9ioAcL/7iN3qBj7nNnd9cvuW0WhEk14+pweVrWQj0p4NISVvHHwPgo9enkEpf\n"
                                "s5aU9+WP+PSbe58Xb2VqmgM+hlAo1BXhSyfmawIDAQABAoIBADTEcmBXEXl5r4v8\n"
                                "4sJib0XPqf+3rf4kWDuul1QchHrbPSauvZx6cgYsH59uw21aC6ve8ku/FsIzVfva\n"
                                "jbMxKptwEpyuN+qRQO3SAyTLAkjOHhto6kX9BtT5NGiimrLNLeIbAhehm/LS64En\n"
                                "dyUtAhTYZYIv6Mh50V+wf7M8Y1KLqwM2hxpT4uMLXtrcodEsiqPIrd0kkxt+L/VE\n"
                                "eWe3/3gv9QCdnOyh+ilmbACljgKPZ3WMLGJHcbcjDv5HNlVmj5+9SrbXGpKe10zA\n"
                                "5lP7cODPZQ8HzIXpdGT58YC12TptbwjPNq/yPgwZa9l6KzVCpm2GSpkHouTIxs6w\n"
                                "oOgI/QECgYEA+Vh85+0oEB/Wuzn6h9zd850RsgWgvbvGBujNJP5R0t+o51O31t0h\n"
                                "OYqkRiuA/2I2amXXVEJpfy/8AZksrOg8xbHZYP2Y11Cj/5Z2ItxgRQp5xoI4gB13\n"
                                "Vaj/+Nz0XXpKSNiz6zi5W6Bt3+LdB+LOtLyEz5/qQiL/2f7JXR0NnTECgYEA14xE\n"
                                "ZU78uGQIG19M9gIjqBpOeX0NLcIljd2Ndes7DathTWEQsyISdfCjx1WovEy5iOXj\n"
                                "Gx1AafQ9ovX2kN7kokfbCjcP6tvlTCUULwm0WnSGiGQ6lGdjsME1SU5BVuVQjH+q\n"
                                "WyEU9Lxu/EHDdIXTEEOG1evDweITVE/mMnvH5lsCgYAJBVWHgoH3i19WaLOSpL/2\n"
                                "51DTkvaMxrVUXKnHU9gb+/F9ZP76rAdesJBe5YYGN0RmtwaCSuDMNC021ZbTLpe8\n"
                                "Q0HtC1+zMnysa4IcosJs3QMo1l8661X86F9SXpQMqbb0SbrAoM277eLrvaZneaIm\n"
                                "0ccwR8XO3LtK5LfeQYXTkQKBgH7jP9Azs2oI2QzkCTY5BCyNb+zsxLlPNTRSXFgy\n"
                                "Zc0iOmGG5oHNaPis9Hz/3BkdQYtpaUwo6CZ3dWFdUgzuacFuc2+MAn7LfCxbF4qp\n"
                                "N9aYCip4dlOumW0QEAJbYvN4gvZyoSKMUv3Pf7ZYMGuD7EACwHlmFRMptx9G+ch2\n"
                                "PbNJAoGAa0CU5WL0t6eZpOYgfNo59Kv6jXek6ApqgfaAQNKDqI+qNM57SH27vQfW\n"
                                "6OnZbpsLepmG2+G7GxW0AJw7RsCLO2g0zIuwIfJPz54zThs62gNDxzZ6mt6ukiSA\n"
                                "+vSjB2mK0vLxk4F9O4EG5ZSylujnZpOoEvU3D2wmV1pZ927U4Rs=\n"
                                "-----END RSA PRIVATE KEY-----\n";

static const char KEY_PKCS8[] = "-----BEGIN PRIVATE KEY-----\n"
                                "MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQDR8e/pRQhWtWqk\n"
                                "ECTKfljmvnlWr4V/ubogLwtbMf2gwdWCHKnDc3s5Cik1j+WUyU9Ko9dinfDZ/KVZ\n"
                                "ZzhJlkiOppMoq2a16ot8gJMRATqep3VksaJ8Mm3w1QCmdyl8lDbxl2ClqwMtXRlN\n"
                                "gU9lZTHi0giee8G3Lodr0zsdp5PQfxralXLL6wzBwsTKsX7U6OzpCSm8aEw5L0WB\n"
                                "K3ZsfnEk9EedE5jznzbOt6mmvEzH40zEguN51T2KgBwv/uI3eoGPuc2d31y+5bRa\n"
                                "ESTXj6nB5WtZCPSng0hJW8cfA+Cj16eQSl+zlpT35Y/49Jt7nxdvZWqaAz6GUCjU\n"
                                "FeFLJ+ZrAgMBAAECggEANMRyYFcReXmvi/ziwmJvRc+p/7et/iRYO66XVByEets9\n"
                                "Jq69nHpyBiwfn27DbVoLq97yS78WwjNV+9qNszEqm3ASnK436pFA7dIDJMsCSM4e\n"
                                "G2jqRf0G1Pk0aKKass0t4hsCF6Gb8tLrgSd3JS0CFNhlgi/oyHnRX7B/szxjUour\n"
                                "AzaHGlPi4wte2tyh0SyKo8it3SSTG34v9UR5Z7f/eC/1AJ2c7KH6KWZsAKWOAo9n\n"
                                "dYwsYkdxtyMO/kc2VWaPn71Kttcakp7XTMDmU/tw4M9lDwfMhel0ZPnxgLXZOm1v\n"
                                "CM82r/I+DBlr2XorNUKmbYZKmQei5MjGzrCg6Aj9AQKBgQD5WHzn7SgQH9a7OfqH\n"
                                "3N3znRGyBaC9u8YG6M0k/lHS36jnU7fW3SE5iqRGK4D/YjZqZddUQml/L/wBmSys\n"
                                "6DzFsdlg/ZjXUKP/lnYi3GBFCnnGgjiAHXdVqP/43PRdekpI2LPrOLlboG3f4t0H\n"
                                "4s60vITPn+pCIv/Z/sldHQ2dMQKBgQDXjERlTvy4ZAgbX0z2AiOoGk55fQ0twiWN\n"
                                "3Y116zsNq2FNYRCzIhJ18KPHVai8TLmI5eMbHUBp9D2i9faQ3uSiR9sKNw/q2+VM\n"
                                "JRQvCbRadIaIZDqUZ2OwwTVJTkFW5VCMf6pbIRT0vG78QcN0hdMQQ4bV68PB4hNU\n"
                                "T+Yye8fmWwKBgAkFVYeCgfeLX1Zos5Kkv/bnUNOS9ozGtVRcqcdT2Bv78X1k/vqs\n"
                                "B16wkF7lhgY3RGa3BoJK4Mw0LTbVltMul7xDQe0LX7MyfKxrghyiwmzdAyjWXzrr\n"
                                "VfzoX1JelAyptvRJusCgzbvt4uu9pmd5oibRxzBHxc7cu0rkt95BhdORAoGAfuM/\n"
                                "0DOzagjZDOQJNjkELI1v7OzEuU81NFJcWDJlzSI6YYbmgc1o+Kz0fP/cGR1Bi2lp\n"
                                "TCjoJnd1YV1SDO5pwW5zb4wCfst8LFsXiqk31pgKKnh2U66ZbRAQAlti83iC9nKh\n"
                                "IoxS/c9/tlgwa4PsQALAeWYVEym3H0b5yHY9s0kCgYBrQJTlYvS3p5mk5iB82jn0\n"
                                "q/qNd6ToCmqB9oBA0oOoj6o0zntIfbu9B9bo6dlumwt6mYbb4bsbFbQAnDtGwIs7\n"
                                "aDTMi7Ah8k/PnjNOGzraA0PHNnqa3q6SJID69KMHaYrS8vGTgX07gQbllLKW6Odm\n"
                                "k6gS9TcPbCZXWln3btThGw==\n"
                                "-----END PRIVATE KEY-----\n";

static const char KEY_LOCKED[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                                 "MIIFLTBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQIijK3XO/KFrsCAggA\n"
                                 "MAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAEqBBB1wKou6QO0AjcYrkmiXqP/BIIE\n"
                                 "0DWUZuApK3tUOmYJACjeDZtieCsKeYjZY0GAkzoCX/FnBbZKaJQAeFrLs5XgZJvD\n"
                                 "2D4lxrMa3Le/8JATzi5dHfU2sDElyLbSoLM064jxEb7WpODJqk+c9ClVe7Z8xfnA\n"
                                 "lM9LfWpReuBo2mzVT+DGtnyxsA2LZZUurMLtttIVvmb8CFI3MZ7oXlx369uIBx7E\n"
                                 "X5YAk84WWD27tfWLSqyRlEs2MVgM3fhRUHnWHEKiNfmejMFYE7DASpVWdpT//WDZ\n"
                                 "n5EfAK25+a6tHApBlRIHqR2OhxPiR/rrFwRJ+vvbeszeNGUFolj7/3EtxCasWPbw\n"
                                 "m5HhkIB3zkG0YJwAHJuFdWfDxKVPiKvrQ/ohLwc0J9ux12jBxqskt7GvhpLy9faC\n"
                                 "k9v51BBqFsvWBlqQkUn0lO8CdyvA7fzVeSaXJzk22BWBW24GmLED8HzPG+wDgTbt\n"
                                 "AFpffEFOg20GzGGMfVqW228BBBQRcEr5qjwUI1rjytn51nELnJkRVzIHOe6Tklnv\n"
                                 "w37jGjL4Kiz9hiVZox4TJLLq80R53P5w75r2lc7hkfTIokKFZdT8A8NDFxnEyCaj\n"
                                 "GHJ+6kwRKAWHXw1ksfIAHwkCl6hg0YddusY0bbb47rQPHZOCpsYwy1h+DxTlaMU1\n"
                                 "iWjyN5XYNgTO7KtaXXP7dgmM/9ll+EMPqwRFbjP2irxqd7TbicSs0siT40PmAJF6\n"
                                 "LqVpjUzJZzYol4SeYqYhKUkQyv8YasMGISZm2QJxUrcFVCgzeA522P1OmTtP9Mvs\n"
                                 "O8VmBdHr2xCgBum36g/UsL4h4HL37UhjbRwpEK355ZLJb3czHTo3NWSEnYytGwb5\n"
                                 "5Y+ML7Y60LciknIHz9Grf5MCjp/0LvR5lZ24GQJgqohQWPZdss33ihjLLn+c8UgF\n"
                                 "RRIsJKSWzxf8p8htAaAS5vK8tG4LSnBSy/dz0z8QVf1umtjhN5SabcGf+mdFcveu\n"
                                 "pxNRm9D4n+SbD3E00Lq8XMfxf7UU2Ik1i54+mnuLCJE4fM7VMfoFvS2T6iFwXcjP\n"
                                 "fm9zeUcsC9LBpu4OTkEcAjl30kPj7QRyxOsyKqroUyAkzWNTOOuMZ217c632VHiy\n"
                                 "QB9aik4faDrflDRN3SAVQ2/81fWJwwqnhJRx7cW4OQ1JujRxQFlLqfTrdyt4y8BA\n"
                                 "NEqizRC5zsOmOHHbg4auHET5iQblUE7AcK3e+5qteVDOzY5LgT48dV/WfrtJSeg/\n"
                                 "t+K4UhvOBHeMhGKz+Bkw+UHsCwYXJdtoXDvg8K8XVwSYMBeyqsVjtJDQvp0SQyXz\n"
                                 "2dltKuYbSqXB31vUGfMGgDIHJmjYI0kTZbpRuPx4upupVe/wwki/rc+2fweqc5c4\n"
                                 "zmlEKTPFY6utbzVlv37iGGb7CWxdy1v3of+wwsCbNTbeid1Pop7E9zCE2n7Bu5Iq\n"
                                 "v5lC4nLiz9TkGJVs3ugGYfhTGqofYLEwM/MfNF0rZmUg46WjHjJIIQxyb80AZz83\n"
                                 "qw/Kt4ob/FJCNvfgW5UXrWtEDm3mTCCe8UOpZr7u/qhsuVLhMJ/vMhiAag/7TXcY\n"
                                 "yF6lbJ+Kw4aWHQGNxkd4W8vR8HO44fyu0JPsDi+M26VpTpQ2GiUoGDND7mwxV5h8\n"
                                 "8KhInEoXfwbDFFsL0EPUkqXqW3iAzVaaT6s3+BTYqyJn\n"
                                 "-----END ENCRYPTED PRIVATE KEY-----\n";

static const char KEY_SMALL[] = "-----BEGIN RSA PRIVATE KEY-----\n"
                                "MIICXQIBAAKBgQCzy/0V03Mg494iRksY8PmVXqvIXrFUHGulsFhBoEv1WXmMhBGx\n"
                                "LkgZeqP+o/UPf8a+BRiMKv34KzWoyZ1y46nzEITqoLEEKkuHYQk+2nW9fXSMFpuk\n"
                                "7srf9sUZaPX90onIAQZC044U46JXW4PZhyhucB4J+nP3BGE9DlM5tKHMhQIDAQAB\n"
                                "AoGAaaOPHgXQ/SAlYen/MbZUTokDUYUhl5PjQ8Sq9lQijRN3MTJf2sSgpCfEt1bK\n"
                                "I8MlmHwSAjk4Y1mv+24KTnipXySIMrVTttY5vZOnSW37QLRPIPMBDGPzOgxOW/YP\n"
                                "r1wgSwuoeMDyqVhSt5wtiQUYC4SaesIG2TYRZ3gTh5kAijkCQQDhcbMfC5rOI222\n"
                                "bMDUtEpb2DvO5twfA169N5OUsNOoQ8RFQyElyMpg1HF2StxU2woSsN6jeLKdXn9i\n"
                                "t00niXFjAkEAzCpzejXkQtls6Eni7BNJMlbAJM10JTZzrbxudtZNH4ugwPAVsGhE\n"
                                "EZ963WjtwUK19kjVd36QLHz3cpmLzSTi9wJBAJRZ85r8UfRQUAP5cLMHqN7jXgf6\n"
                                "1uL5nsA48D6qVb2mSmOhlxB8HuC1K6zB+ldEhE5kYT2FUVRJON5G7NiVky0CQQCD\n"
                                "bWBg74g9MFHXRpj5d4DLEuUly8xUmDTnRkGl5lZHVE7rZKHRqY0H+y3QkddbbWJN\n"
                                "ZJ1mCucsfFWeRBGmwXQJAkB44q097pIZrZji9KrzHWXXEPLUQHRmsfMzPJoGmmU2\n"
                                "E37pqb5/UPFzqjmzL3VKFvDLq5MCZQA5HCwtDnPxFWjh\n"
                                "-----END RSA PRIVATE KEY-----\n";

static const char KEY_EC[] = "-----BEGIN EC PRIVATE KEY-----\n"
                             "MHcCAQEEIEaOMCHfQTntL+BwF0EsJYHg4jhWXciP6iZliILg0zhcoAoGCCqGSM49\n"
                             "AwEHoUQDQgAEn69MeWw/NDOyE83FH7rVPyTrrKYQRq/vk8w9Yfp9lppJyypunemu\n"
                             "zPwzQeSZe0gbJthFTO7Vr+3LGScRnn/J4Q==\n"
                             "-----END EC PRIVATE KEY-----\n";

static const char SIGNED[] =
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJhcHBsaWNhdGlvbl9pZCI6ImEiLCJqdGkiOiIxIn0.auEJ2-"
    "UamghlsMqkSE60PimU_28BltOuvhfo8eiywHS7-"
    "fxAwMLdHwMDzb_bwqq9XJe7MV_YZZf64dMSCPYQw9DrEO1_u9fLD7Ur8ON-"
    "4rDOcZvoqcUb4TerQRI1DpEgoeSjINtENM6ipVS_OKFNLB6zbGvOsNLYI20yczXevhHGnh5dx-ZCt3bt7Bzl7mGTdq"
    "FrNp0i7zm0zSJ0_fPnCuCN1oSlzpjXx0FDUxLbwNclvaPtAh8RpLroz1oaxeE639hs4TGOJK4gukOPZkPwG-"
    "uliXHzwhuJzx_6-bOzTzBR7YO3EfVWGpa-sg0ueKxGLmuqgS38Cb44Yfmu3EPqCA";

typedef struct vector {
    text key, message;
    const char *sha1, *sha256; /* NULL: not in that RFC */
} vector;

#define A5  "\xaa\xaa\xaa\xaa\xaa"
#define A20 A5 A5 A5 A5
#define A80 A20 A20 A20 A20
#define D10 "\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd"
#define C10 "\xcd\xcd\xcd\xcd\xcd\xcd\xcd\xcd\xcd\xcd"

static const vector vectors[] = {
    {TEXT("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"),
     TEXT("Hi There"), "b617318655057264e28bc0b6fb378c8ef146be00",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {TEXT("Jefe"), TEXT("what do ya want for nothing?"), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {TEXT(A20), TEXT(D10 D10 D10 D10 D10), "125d7342b9ac11cd91a39af48aa17b4f63f175d3",
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {TEXT("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18"
          "\x19"),
     TEXT(C10 C10 C10 C10 C10), "4c9007f4026250c6bc8414f9bf50c86c2d7235da",
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {TEXT(A80), TEXT("Test Using Larger Than Block-Size Key - Hash Key First"),
     "aa4ae5e15272d00e95705637ce8a3b55ed402112", NULL},
    {TEXT(A80 A20 A20 A5 A5 "\xaa"), TEXT("Test Using Larger Than Block-Size Key - Hash Key First"), NULL,
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {TEXT(A80 A20 A20 A5 A5 "\xaa"),
     TEXT(
         "This is a test using a larger than block-size key and a larger than block-size data. The key needs "
         "to be hashed before being used by the HMAC algorithm."),
     NULL, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
};

static void expect_hex(const uint8_t *bytes, size_t len, const char *want) {
    CLEANUP(buf_release) buf hex = BUF(256);
    hex_add(bytes, len, &hex);
    ck_assert_int_eq(buf_failed(&hex), 0);
    ck_assert_str_eq(hex.ptr, want);
}

START_TEST(codes_are_those_of_the_rfcs) {
    uint8_t one[SHA1_LEN], two[SHA256_LEN];
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        ck_assert_int_eq(hmac_sha1(vectors[i].key, vectors[i].message, one), 0);
        ck_assert_int_eq(hmac_sha256(vectors[i].key, vectors[i].message, two), 0);
        if (vectors[i].sha1)
            expect_hex(one, sizeof one, vectors[i].sha1);
        if (vectors[i].sha256)
            expect_hex(two, sizeof two, vectors[i].sha256);
    }
}
END_TEST

START_TEST(nothing_has_a_code_too_also_without_a_pointer) {
    uint8_t one[SHA1_LEN], two[SHA256_LEN];
    const text nothing = {NULL, 0};
    ck_assert_int_eq(hmac_sha1(nothing, nothing, one), 0);
    expect_hex(one, sizeof one, "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d");
    ck_assert_int_eq(hmac_sha256(nothing, nothing, two), 0);
    expect_hex(two, sizeof two, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}
END_TEST

START_TEST(digests_are_those_of_the_standard) {
    static const struct {
        text message;
        const char *want;
    } rows[] = {
        {TEXT("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {TEXT("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {{NULL, 0}, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    };
    uint8_t digest[SHA256_LEN];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ck_assert_int_eq(sha256(rows[i].message, digest), 0);
        expect_hex(digest, sizeof digest, rows[i].want);
    }
}
END_TEST

START_TEST(base64_is_padded_as_the_rfc_has_it) {
    static const struct {
        text bytes;
        const char *want;
    } rows[] = {
        {TEXT(""), ""},
        {TEXT("f"), "Zg=="},
        {TEXT("fo"), "Zm8="},
        {TEXT("foo"), "Zm9v"},
        {TEXT("foob"), "Zm9vYg=="},
        {TEXT("fooba"), "Zm9vYmE="},
        {TEXT("foobar"), "Zm9vYmFy"},
        {TEXT("\xfb\xff\xbf\xff"), "+/+//w=="},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_release) buf to = BUF(64);
        base64_add((const uint8_t *)rows[i].bytes.ptr, rows[i].bytes.len, &to);
        ck_assert(text_equal(buf_text(&to), text_of(rows[i].want)));
    }
}
END_TEST

START_TEST(codes_are_equal_when_every_byte_is_and_there_is_one) {
    ck_assert(mac_equal(TEXT("abc"), TEXT("abc")));
    ck_assert(mac_equal(TEXT("a\0c"), TEXT("a\0c")));
    ck_assert(!mac_equal(TEXT("a\0c"), TEXT("a\0d")));
    ck_assert(!mac_equal(TEXT("abc"), TEXT("Abc")));
    ck_assert(!mac_equal(TEXT("abc"), TEXT("abd")));
    ck_assert(!mac_equal(TEXT("abc"), TEXT("ab")));
    ck_assert(!mac_equal(TEXT(""), TEXT("")));
    ck_assert(!mac_equal((text){NULL, 0}, (text){NULL, 0}));
}
END_TEST

START_TEST(rs256_signs_as_another_tool_does_with_either_form_of_the_key) {
    static const char *const keys[] = {KEY_PKCS1, KEY_PKCS8};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        CLEANUP(buf_release) buf to = BUF(4096);
        buf_add_text(&to, TEXT("Bearer "));
        ck_assert_int_eq(jws_rs256(keys[i], TEXT("{\"application_id\":\"a\",\"jti\":\"1\"}"), &to), 0);
        ck_assert(text_starts_with(buf_text(&to), TEXT("Bearer ")));
        ck_assert_str_eq(to.ptr + strlen("Bearer "), SIGNED);
    }
}
END_TEST

START_TEST(what_is_no_open_rsa_key_of_2048_bits_signs_nothing) {
    static const char *const keys[] = {
        "", "no key", "-----BEGIN RSA PRIVATE KEY-----\n", KEY_LOCKED, KEY_SMALL, KEY_EC, NULL};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        CLEANUP(buf_release) buf to = BUF(4096);
        ck_assert_int_eq(jws_rs256(keys[i], TEXT("{}"), &to), -EBADMSG);
        ck_assert_uint_eq(to.len, 0);
    }
}
END_TEST

START_TEST(a_signature_that_does_not_fit_into_the_buffer_is_a_fault) {
    for (size_t limit = 0; limit < strlen(SIGNED); limit += 50) {
        CLEANUP(buf_release) buf to = BUF(limit);
        ck_assert_int_eq(jws_rs256(KEY_PKCS1, TEXT("{\"application_id\":\"a\",\"jti\":\"1\"}"), &to),
                         -EMSGSIZE);
    }
}
END_TEST

#define RFC7515_A1                                                                                           \
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"                                                               \
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define RFC7515_A1_SIGNATURE ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

START_TEST(hs256_is_that_of_the_rfc) {
    CLEANUP(buf_release) buf payload = BUF(4096);
    unsigned char key[BASE64URL_DECODED_MAX(86)];
    size_t len = 0;
    ck_assert_int_eq(
        base64url_decode(
            TEXT("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"),
            key, &len),
        0);
    text secret = {(const char *)key, len};
    ck_assert(jws_hs256_good(TEXT(RFC7515_A1 RFC7515_A1_SIGNATURE), secret, &payload));
    ck_assert_str_eq(payload.ptr,
                     "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}");
    secret.len--;
    ck_assert(!jws_hs256_good(TEXT(RFC7515_A1 RFC7515_A1_SIGNATURE), secret, &payload));
}
END_TEST

START_TEST(a_jws_that_is_not_wholly_good_is_refused) {
    /* Except for the first, signed with "secret", each is wrong in one way; the headers' signatures are
     * right. */
    static const struct {
        text token;
        bool good;
    } rows[] = {
        {TEXT("eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.LrlPmSL4FxrzAHJSYbKzsA997COXdYCeFKlt3zt5DIY"), true},
        /* none, RS256, crit, hs256, [], alg twice, {} */
        {TEXT("eyJhbGciOiJub25lIn0.eyJhIjoxfQ.Ok1Nog_LrAHm0qU5thIN-OFT7mo1SOV-IHw2RAUv72M"), false},
        {TEXT("eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.vCpTbbJLjjxlO4cVvFUUCso4WXSFLTUdxrSd_heorWA"), false},
        {TEXT("eyJhbGciOiJIUzI1NiIsImNyaXQiOlsiZXhwIl0sImV4cCI6MX0.eyJhIjoxfQ.XX5-qQHIPPimnjHd-"
              "fOUyuw0CG8TMHkUik"
              "GCcrKmU7s"),
         false},
        {TEXT("eyJhbGciOiJoczI1NiJ9.eyJhIjoxfQ.Ptxektj-qoOvhL_Ohvyde3CrzN-evZuKnFTJLxyyq2w"), false},
        {TEXT("W10.eyJhIjoxfQ.9byEEd45_QtuH4CxoXj32DMrDUjGG6Zg7_WauEU7JPc"), false},
        {TEXT("eyJhbGciOiJIUzI1NiIsImFsZyI6IkhTMjU2In0.eyJhIjoxfQ.P2gKu9NLDzd954g9LcFAw-"
              "aLcA60HJjEYLAq37jHugI"),
         false},
        {TEXT("e30.eyJhIjoxfQ.7cschpt1NNmxiVSZeddJNGP17zgaIfUjVdmWJzkOibo"), false},
        /* the payload, the signature, its spelling, its length, the parts */
        {TEXT("eyJhbGciOiJIUzI1NiJ9.eyJhIjoyfQ.LrlPmSL4FxrzAHJSYbKzsA997COXdYCeFKlt3zt5DIY"), false},
        {TEXT("eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.MrlPmSL4FxrzAHJSYbKzsA997COXdYCeFKlt3zt5DIY"), false},
        {TEXT("eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.LrlPmSL4FxrzAHJSYbKzsA997COXdYCeFKlt3zt5DIZ"), false},
        {TEXT("eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.LrlPmSL4FxrzAHJSYbKzsA997COXdYCeFKlt3zt5DIY="), false},
        {TEXT("eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.LrlPmSL4FxrzAHJSYbKzsA997COXdYCeFKlt3zt5DI"), false},
        {TEXT("eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ."), false},
        {TEXT("eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ"), false},
        {TEXT("eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.LrlPmSL4FxrzAHJSYbKzsA997COXdYCeFKlt3zt5DIY."), false},
        {TEXT("..LrlPmSL4FxrzAHJSYbKzsA997COXdYCeFKlt3zt5DIY"), false},
        {TEXT(".."), false},
        {TEXT(""), false},
        {{NULL, 0}, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_release) buf payload = BUF(64);
        ck_assert_msg(jws_hs256_good(rows[i].token, TEXT("secret"), &payload) == rows[i].good, "row %zu", i);
        ck_assert_msg(rows[i].good == (payload.len > 0), "row %zu", i);
        ck_assert(!jws_hs256_good(rows[i].token, TEXT("Secret"), &payload));
        ck_assert(!jws_hs256_good(rows[i].token, TEXT(""), &payload));
    }
}
END_TEST

Suite *suite_mac(void) {
    Suite *s = suite_create("mac");
    TCase *t = tcase_create("all");
    tcase_add_test(t, codes_are_those_of_the_rfcs);
    tcase_add_test(t, nothing_has_a_code_too_also_without_a_pointer);
    tcase_add_test(t, digests_are_those_of_the_standard);
    tcase_add_test(t, base64_is_padded_as_the_rfc_has_it);
    tcase_add_test(t, codes_are_equal_when_every_byte_is_and_there_is_one);
    tcase_add_test(t, rs256_signs_as_another_tool_does_with_either_form_of_the_key);
    tcase_add_test(t, what_is_no_open_rsa_key_of_2048_bits_signs_nothing);
    tcase_add_test(t, a_signature_that_does_not_fit_into_the_buffer_is_a_fault);
    tcase_add_test(t, hs256_is_that_of_the_rfc);
    tcase_add_test(t, a_jws_that_is_not_wholly_good_is_refused);
    suite_add_tcase(s, t);
    return s;
}
