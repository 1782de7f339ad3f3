"""Notes with identifiers whose places are known: templates filled by generators, put between the sentences of
real notes.

Rules were written while looking at "tune"; "report", with other names and templates, was looked at once and
then used for rules as well; "fresh" takes its identifiers from the package Faker (pip install Faker), a
generator of somebody else, in languages and templates that no rule had seen. `faker` fills "report" from
Faker, too.
"""

# ruff: noqa: E501 - lists of words and templates, one a line

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

NAMES = {  # origin -> given names, surnames; those at even places are of "tune", at odd ones of "report"
    "anglo": ("Walter Gladys Trevor Beatrice Desmond Winifred Clifford Muriel Gareth Philippa Nigel Rosalind Grace Mark Ivy Jack",
              "Pemberton Whitcombe Ainsworth Thackeray Holloway Fairbanks Osgood Lattimer Brown Young White Green Carter Baker Hughes Marsh"),
    "hispanic": ("Guadalupe Jesús Xiomara Efraín Marisol Baltazar Yolanda Ignacio Rocío Humberto Araceli Fermín Dolores Ángel Luz Salvador",
                 "Villaseñor Quintanilla Bustamante Echeverría Zamora Ocampo Arredondo Montelongo Cruz Rosas Peña Flores Ibarra Núñez Solís Lugo"),
    "chinese": ("Xiaoming Wei Jingyi Haoran Meiling Zihan Yufei Guoqiang Lihua Jun Shuang Yan Qiang Hui Bo Min",
                "Zhang Ouyang Xu Zhou Huang Qian Sun Deng Ma Long Li Hu Han Lu Fang Song"),
    "indian": ("Venkatesh Lakshmi Raghunath Deepika Arvind Sunita Balakrishnan Meenakshi Harpreet Gurpreet Anil Kavita Rohan Isha Om Jaya",
               "Subramaniam Chattopadhyay Krishnamurthy Bhattacharya Deshpande Iyer Chaudhary Ranganathan Rao Das Sen Gill Nair Patel Sethi Bose"),
    "arabic": ("Abdulrahman Fatimah Khalid Zaynab Mustafa Noura Tariq Haifa Yusuf Samira Omar Layla Faisal Hind Amal Ali",
               "Al-Ghamdi Haddad Mansour Khoury El-Sayed Najjar Darwish Qasim Habib Saleh Aziz Hakim bin-Laith Farouk Sharif Nasser"),
    "african": ("Oluwaseun Chidinma Kwabena Adaeze Thandiwe Sipho Amara Babatunde Wanjiru Kipchoge Blessing Comfort Precious Godwin Abeba Tesfaye",
                "Okonkwo Adebayo Mensah Nkosi Mwangi Osei Diallo Abiodun Eze Tadesse Dlamini Kamau Boateng Achebe Sow Keita"),
    "slavic": ("Zbigniew Ljubica Vladislav Oksana Bohdan Katarzyna Stanislava Miroslav Jadwiga Dragan Svetlana Yevgeny Radmila Tomasz Iva Lev",
               "Wojciechowski Kovalenko Dvořák Petrović Szczepański Shevchenko Novotná Kuznetsov Horvat Lis Babić Król Vuk Orlov Bartoš Zając"),
    "korean_vietnamese": ("Seojun Thanh Jiwoo Phuong Minseok Ngoc Hyunjin Trang Eunji Quang Soo Linh Dong Kim Sun Mai",
                          "Nguyen Hwang Tran Baek Pham Jeong Huynh Seo Kim Park Lee Choi Do Moon Bui Song"),
}  # fmt: skip
STREETS = ("Oak Hill Road|Larchmont Avenue|Pine St|Old Mill Lane|Sycamore Drive|Kestrel Court|Main Street|West 42nd Street|Harbor View Blvd|Church Rd|"
           "Van Ness Ave|Maple Ridge Way|Saddleback Trail|First Avenue|Dogwood Circle|Elm Terrace").split("|")  # fmt: skip
CITIES = ("Grand Rapids, MI|Tulsa, OK|Boise, ID|Salt Lake City, UT|Duluth, MN|New Haven, CT|Fort Wayne, IN|Spokane, WA|El Paso, TX|Poughkeepsie, NY|"
          "Chattanooga, TN|Green Bay, WI|Little Rock, AR|Eugene, OR|San Mateo, CA|Bangor, ME").split("|")  # fmt: skip
HOSPITALS = ("St. Brendan's Hospital|Larkspur Valley Medical Center|Mercy General Hospital|Whitfield Memorial Hospital|Tuscarora Family Clinic|"
             "University of Vermont Medical Center|Good Samaritan Hospital|Cedar Hollow Rehabilitation Center|Pinewood Hospice|Northgate Community Hospital|"
             "Kowalski Eye Institute|Sacred Heart Hospital|Brigham Oaks Nursing Home|Hawthorne Cancer Center|Bayview Clinic|Lutheran Medical Center").split("|")  # fmt: skip
ZH_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤"
ZH_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰建国志文海燕红梅春晓雪婷欣怡浩然子轩梓涵雨泽思远嘉懿俊宇佳琪振东立新"
ZH_RARE_SURNAMES, ZH_RARE_GIVEN = (
    "沙甄单解查翟车柴牛苗",
    "翀昱珩燊璟晗沅蘅绾骁桀祺煜淼垚犇一二小大中天地日长多才有见问知行",
)
# the 3,700 of level 1
COMMON_HAN = [bytes((a, b)).decode("gb2312") for a in range(0xB0, 0xD7) for b in range(0xA1, 0xFF)]
ZH_PLACES = "北京市朝阳区建国路88号|上海市浦东新区世纪大道1200号3栋502室|广东省广州市天河区体育西路15号|四川省成都市武侯区科华北路65号|湖北省武汉市洪山区珞喻路1037号|山东省济南市历下区文化西路44号|江苏省南京市鼓楼区汉口路22号|浙江省杭州市西湖区余杭塘路866号".split(
    "|"
)
ZH_HOSPITALS = "北京协和医院|复旦大学附属华山医院|四川大学华西医院|济宁市第一人民医院|中南大学湘雅医院|南京鼓楼医院|苏州大学附属第二医院|郑州市中心医院".split(
    "|"
)

TEMPLATES = {  # {SLOT}: N full name, S surname, G given name, ...
    "tune": (
        "Patient Name: {N}  MRN: {MRN}  DOB: {DATE}", "Mr. {S} is a {AGE}-year-old man who lives with his wife {G}.", "Dictated by: {N}, MD on {DATE}.",
        "He was referred by Dr. {S} of {HOSP}.", "Her daughter {G} can be reached at {PHONE}.", "The patient lives at {ADDR}, {CITY} {ZIP}.",
        "Please contact {N} at {EMAIL}.", "She was seen at {HOSP} on {DATE} by Dr. {N}.", "SSN {SSN}, account number {ACCT}.", "Mrs. {S} moved here from {TOWN}.",
        "I discussed this with Dr. {S} and with {N}.", "Results are at {URL}.", "[doctor] hi , {g} . how are you ?", "Attending: {N}\nAccession: {ACC}",
        "Fax the report to {PHONE}, attention {N}.", "{G} {S} was admitted on {DATE}.", "Electronically signed by {N} on {DATE}.", "He fell in {TOWN} in {MONTH}.",
    ),
    "report": (
        "Name: {N}\nDate of birth: {DATE}\nMedical record number {MRN}", "Ms. {S} ({AGE} yo) comes with her sister {G}.", "Transcribed {DATE} for {N}, DO.",
        "Consult was requested by Doctor {S} from {HOSP}.", "Next of kin: {N}, phone {PHONE}.", "Home address is {ADDR}, {CITY} {ZIP}.",
        "An e-mail was sent to {EMAIL} by nurse {S}.", "On {DATE}, {N} underwent the procedure at {HOSP}.", "Social security number: {SSN}. Acct# {ACCT}.",
        "The family of {N} is from {TOWN}.", "{N} reports that the pain started on {DATE}.", "The portal {URL} was explained to {G}.",
        "[patient] thanks , doctor {s} , and say hello to {g} .", "PCP: {N}    Specimen: {ACC}", "Call {G} back on {PHONE} tomorrow.", "cc: {N}; {N}",
        "Mr. {N} was transferred to {HOSP}, {TOWN}.", "Her husband, {N}, died in {MONTH} at {AGE} years of age.", "RE: {N} ({MRN})",
    ),
    "last": (
        "{N} ({AGE} y.o.) was referred by {N}, NP.", "Called {G} at {PHONE} and left a message.", "The patient's mother, {N}, gave consent on {DATE}.", "Provider: {N}\nMRN: {MRN}",
        "She previously saw Dr. {S} at {HOSP} in {TOWN}.", "He lives with {G} at {ADDR}, {CITY} {ZIP}.", "DOB {DATE}. SSN {SSN}.", "Dr. {S} and Dr. {S} were present.",
        "Dear Dr. {S},\nI saw your patient {N} on {DATE}.", "Report {ACC} was sent to {EMAIL}.", "cc {N}, {N}", "In {MONTH} she moved to {TOWN} to be near {G}.", "See {URL}; account {ACCT}.",
        "[patient] my name is {G} {S} .", "Mrs. {S} asked whether Ms. {S} could visit.", "Signed: {N} {DATE}",
    ),
    "fresh": (
        "DISCHARGE SUMMARY\nPATIENT: {N}\nMR#: {MRN}\nADMITTED: {DATE}", "Thank you for asking me to see {N}, whom I met on {DATE}.", "Sincerely,\n{N}, M.D.",
        "Mother is {N} and can be texted at {PHONE}.", "He works in {TOWN} and was brought in by his brother {G}.", "Spoke to {G} {S} (wife) by telephone, {PHONE}.",
        "Records from {HOSP} dated {DATE} were reviewed with Dr. {S}.", "Mailing address: {ADDR}, {CITY} {ZIP}", "Ordering provider: {N}  Collected: {DATE}",
        "According to Mr. {S}, the fall happened in {MONTH}.", "Insurance ID {ACCT}, SSN {SSN}.", "Send images to {EMAIL} or see {URL}.", "{N}, a {AGE}-year-old, lives alone.",
        "[doctor] good morning , miss {s} . i am doctor {s} .", "Seen with Dr. {N} and resident Dr. {N}.", "The biopsy ({ACC}) was read by {N}.", "Patient's son {G} agrees.",
        "She transferred her care from Dr. {S} in {TOWN} to {HOSP}.", "{G} is doing well at home.", "Interpreter {N} was present.",
    ),
}  # fmt: skip
ZH_TEMPLATES = {
    "tune": ("姓名：{N}，性别：男，年龄：{AGE}岁。", "患者{N}，于{DATE}在{HOSP}就诊。", "身份证号：{ID}，联系电话：{PHONE}。", "住址：{ADDR}。", "主治医师：{N}", "{N}医生建议复查。", "住院号：{NO}，床号：12床"),
    "report": ("患者姓名:{N} 手机:{PHONE} 身份证{ID}", "{DATE}由{N}主任接诊。", "家庭住址：{ADDR}", "曾在{HOSP}住院，住院号{NO}。", "患者{N}今日复诊，家属{N}陪同。", "联系人：{N}，电话：{PHONE}", "{N}护士于{DATE}记录，患者{AGE}岁。"),
    "last": ("{N}，男，{AGE}岁，因咳嗽入院。", "主诊医生{N}与家属{N}谈话。", "电话：{PHONE}，住址：{ADDR}", "{DATE}，{N}主任查房。", "患者{N}之女{N}签字。", "证件{ID}，病历号{NO}。", "{N}女士曾于{DATE}在{HOSP}手术。"),
    "newest": ("昨日{N}再次来院，诉仍有头晕。", "{N}的母亲代诉病史。", "经{N}同意后行穿刺。", "老人名字是{N}，今年{AGE}岁。", "会诊意见由{N}给出。", "我同事{N}也是这个病。", "{N}已于{DATE}出院，回到{ADDR}。", "请{N}下周三到{HOSP}复查。", "病案{NO}归档人{N}。", "随访时{N}诉无不适，联系{PHONE}。", "小儿{N}，身份证{ID}。", "感谢{N}大夫和{N}的帮助！", "{N}昨晚给我打电话，号码{PHONE}。"),
    "closing": ("首诊{N}，女，{AGE}岁。", "{N}家属要求出院。", "查房时{N}述腹痛减轻。", "术前谈话记录：{N}", "患者由其女{N}送来我院。", "{N}于{DATE}自{HOSP}转来。", "主管：{N}；责任护士：{N}", "请转告{N}，复诊时间为{DATE}。", "{N}（{PHONE}）来电。", "致谢：{N}、{N}。", "本院职工{N}，住{ADDR}。", "病案号{NO}，{N}。", "医嘱由{N}下达。"),
    "latest": ("接诊时{N}神志清楚。", "病历由{N}书写，{N}审阅。", "陪诊的是{N}，手机{PHONE}。", "昨晚{N}值夜班。", "与{N}沟通后同意手术。", "患者{N}（身份证{ID}）于{DATE}在{HOSP}就诊。", "家住{ADDR}的{N}今日复诊。", "{N}的化验单已寄出。", "问诊：{N}，病案号{NO}", "转给{N}主任会诊。", "{AGE}岁的{N}独居。", "通知{N}来院取药。", "护士{N}与{N}交接班。"),
    "final": ("家长{N}补充病史。", "手术签字由{N}完成，时间{DATE}。", "病房里{N}和{N}关系很好。", "抄送：{N}、{N}", "本例为{N}，身份证{ID}。", "请{HOSP}{N}协助。", "微信联系{N}（{PHONE}）。", "{DATE}收治{N}一例。", "护工{N}陪护，住{ADDR}。", "门诊卡{NO}持有人{N}。", "据{N}讲，夜间症状加重。", "外院{N}曾建议手术。", "{N}，{AGE}岁，退休。"),
    "fresh": ("病人{N}，{AGE}岁，{DATE}入我科。", "{N}，女，住{ADDR}。", "手术由{N}教授主刀，助手{N}。", "其丈夫{N}（电话{PHONE}）签字同意。", "证件号{ID}；病案号{NO}", "转自{HOSP}，转诊医师{N}。", "{N}先生{DATE}来电咨询。", "检查医生：{N} 审核：{N}"),
}  # fmt: skip
MONTHS = "January February March April May June July August September October November December".split()


@dataclass(frozen=True)
class Planted:
    start: int
    end: int
    kind: str
    origin: str = ""


@dataclass(frozen=True)
class Note:
    text: str
    planted: tuple[Planted, ...]


Fill = Callable[[str], tuple[str, str]]  # slot -> what to write, origin of the name


def notes(
    carriers: list[str], half: str, *, seed: int, faker: bool = False, chinese: bool = False
) -> Iterator[Note]:
    """Each carrier with six to ten filled templates between its sentences."""
    rng = random.Random(seed)
    fresh = half in ("fresh", "last", "newest", "final", "latest", "closing")
    fill = (
        zh_filler(rng, seed if fresh else None, newest=half in ("newest", "final", "latest", "closing"))
        if chinese
        else faker_filler(seed, half)
        if faker or fresh
        else filler(rng, half)
    )
    templates = (ZH_TEMPLATES if chinese else TEMPLATES)[half]
    for carrier in carriers:
        sentences = [
            s for s in re.split(r"(?<=[。！？])" if chinese else r"(?<=[.!?])\s+|\n+", carrier) if s.strip()
        ]
        for template in rng.sample(templates, rng.randint(4, 6) if chinese else rng.randint(6, 10)):
            sentences.insert(rng.randint(0, len(sentences)), template)
        out, planted, at = [], [], 0
        for sentence in sentences:
            for piece in re.split(r"(\{[A-Za-z]+\})", sentence + "\n" * (1 + (rng.random() < 0.2))):
                said, origin = fill(piece[1:-1]) if re.fullmatch(r"\{[A-Za-z]+\}", piece) else (piece, None)
                if origin is not None and not (piece == "{AGE}" and int(re.sub(r"\D", "", said) or 0) < 90):
                    planted.append(Planted(at, at + len(said), piece[1:-1].upper(), origin))
                out.append(said)
                at += len(said)
        yield Note("".join(out), tuple(planted))


def filler(rng: random.Random, half: str) -> Fill:
    odd = half == "report"
    names = {
        origin: tuple([w for i, w in enumerate(x.split()) if i % 2 == odd] for x in lists)
        for origin, lists in NAMES.items()
    }
    places = {
        k: [w for i, w in enumerate(v) if i % 2 == odd]
        for k, v in (("street", STREETS), ("city", CITIES), ("hospital", HOSPITALS))
    }

    def number(n: int) -> str:
        return "".join(rng.choices("0123456789", k=n))

    def date() -> str:
        y, m, d = rng.randint(1935, 2024), rng.randint(1, 12), rng.randint(1, 28)
        forms = (
            f"{m}/{d}/{y}",
            f"{MONTHS[m - 1]} {d}, {y}",
            f"{y}-{m:02}-{d:02}",
            f"{d} {MONTHS[m - 1][:3]} {y}",
            f"{m:02}/{d:02}/{y % 100:02}",
        )
        return rng.choice(
            (*forms, f"{MONTHS[m - 1]} {d}th", f"{d:02}-{MONTHS[m - 1][:3]}-{y}") if odd else forms
        )

    def fill(slot: str) -> tuple[str, str]:
        origin = rng.choice(list(names))
        given, surname = (rng.choice(w) for w in names[origin])
        if rng.random() < 0.25 and slot.upper() in "NSG":  # a name nobody has
            origin = "made up"
            parts = "ba ke lo mi ru ta ve zo shi dra quel mor fen gal hus tic ran wex jor nul".split()
            given, surname = ("".join(rng.choices(parts, k=rng.randint(2, 3))).title() for _ in "ab")
        full = rng.choice((f"{given} {surname}", f"{given} {surname}", f"{given} {rng.choice('ABCDEGHJKLMPRTW')}. {surname}", f"{surname}, {given}",
                           f"{given.upper()} {surname.upper()}"))  # fmt: skip
        made = {
            "N": full, "S": surname, "G": given, "g": given.lower(), "s": surname.lower(), "DATE": date(), "MONTH": rng.choice([m for m in MONTHS if m not in ("March", "May")]),
            "AGE": str(rng.choice((rng.randint(30, 89), rng.randint(90, 104)))), "MRN": rng.choice((number(7), number(8), f"{number(3)}-{number(2)}-{number(3)}", f"H{number(7)}")),
            "SSN": f"{number(3)}-{number(2)}-{number(4)}", "ACCT": rng.choice((number(9), f"A{number(8)}")), "ACC": rng.choice((f"S{number(2)}-{number(5)}", f"AC{number(6)}")),
            "PHONE": rng.choice((f"({number(3)}) {number(3)}-{number(4)}", f"{number(3)}-{number(3)}-{number(4)}", f"+1 {number(3)} {number(3)} {number(4)}", f"{number(3)}.{number(3)}.{number(4)}")),
            "EMAIL": f"{re.sub(r'[^a-z]', '', given.lower()) or 'x'}.{number(2)}@{rng.choice(('gmail.com', 'hosp.example.org', 'mail.co.uk'))}",
            "URL": f"https://portal.{rng.choice(('clinic', 'health'))}{number(2)}.org/p/{number(5)}", "ADDR": f"{number(1) or 1}{number(2)} {rng.choice(places['street'])}",
            "CITY": rng.choice(places["city"]), "ZIP": number(5), "TOWN": rng.choice(places["city"]).split(",")[0], "HOSP": rng.choice(places["hospital"]),
        }  # fmt: skip
        return made[slot], origin if slot.upper() in "NSG" else ""

    return fill


def faker_filler(seed: int, half: str) -> Fill:
    from faker import Faker

    locales = (
        [
            "pt_BR",
            "nl_NL",
            "sv_SE",
            "hu_HU",
            "ro_RO",
            "id_ID",
            "fi_FI",
            "en_GB",
            "es_ES",
            "en_US",
            "hr_HR",
            "cs_CZ",
            "zu_ZA",
        ]
        if half == "fresh"
        else [
            "da_DK",
            "no_NO",
            "et_EE",
            "lv_LV",
            "lt_LT",
            "sk_SK",
            "sl_SI",
            "ga_IE",
            "en_AU",
            "fr_CA",
            "es_CO",
            "es_AR",
            "fil_PH",
            "yo_NG",
            "ha_NG",
            "en_CA",
        ]
        if half == "last"
        else ["en_US", "en_IN", "es_MX", "de_DE", "fr_FR", "pl_PL", "vi_VN", "tr_TR", "en_NG", "it_IT"]
    )
    fakes = {locale: Faker(locale) for locale in locales}
    Faker.seed(seed)
    rng, us = random.Random(seed), Faker("en_US")

    def fill(slot: str) -> tuple[str, str]:
        origin = rng.choice(locales)
        fake = fakes[origin]
        given, surname = fake.first_name(), fake.last_name()
        made: dict[str, Callable[[], str]] = {
            "N": lambda: rng.choice((f"{given} {surname}", f"{surname}, {given}")), "S": lambda: surname, "G": lambda: given, "g": lambda: given.lower(), "s": lambda: surname.lower(),
            "DATE": lambda: us.date(rng.choice(("%m/%d/%Y", "%B %d, %Y", "%Y-%m-%d", "%d %b %Y", "%m-%d-%y"))), "MONTH": lambda: us.month_name() + " " + us.year(),
            "AGE": lambda: str(rng.randint(60, 104)), "MRN": lambda: us.bothify("#######"), "SSN": us.ssn, "ACCT": lambda: us.bothify("?#########").upper(),
            "ACC": lambda: us.bothify("??-##-#####").upper(), "PHONE": us.phone_number, "EMAIL": us.email, "URL": us.uri, "ADDR": us.street_address,
            "CITY": lambda: f"{us.city()}, {us.state_abbr()}", "ZIP": us.postcode, "TOWN": us.city, "HOSP": lambda: f"{us.last_name()} {rng.choice(('Hospital', 'Medical Center', 'Clinic'))}",
        }  # fmt: skip
        return made[slot](), origin if slot.upper() in "NSG" else ""

    return fill


def zh_filler(rng: random.Random, faker_seed: int | None = None, newest: bool = False) -> Fill:
    """Identifiers of ours; with a seed, names and addresses of Faker; in the newest sets every other name is
    of unusual characters."""
    fake = None
    if faker_seed is not None:
        from faker import Faker

        fake = Faker("zh_CN")
        Faker.seed(faker_seed)

    def number(n: int) -> str:
        return "".join(rng.choices("0123456789", k=n))

    def fill(slot: str) -> tuple[str, str]:
        origin = "zh"
        y, m, d = rng.randint(1935, 2024), rng.randint(1, 12), rng.randint(1, 28)
        made = {
            "N": rng.choice(ZH_SURNAMES) + "".join(rng.choices(ZH_GIVEN, k=rng.randint(1, 2))), "AGE": str(rng.choice((rng.randint(30, 89), rng.randint(90, 104)))),
            "DATE": rng.choice((f"{y}年{m}月{d}日", f"{y}-{m:02}-{d:02}", f"{m}月{d}日", f"{y}/{m}/{d}")), "ID": f"{number(6)}{y}{m:02}{d:02}{number(3)}{rng.choice('0123456789X')}",
            "PHONE": rng.choice((f"1{rng.choice('3578')}{number(9)}", f"010-{number(8)}")), "ADDR": rng.choice(ZH_PLACES), "HOSP": rng.choice(ZH_HOSPITALS), "NO": number(8),
        }  # fmt: skip
        if fake is not None:
            given = ZH_GIVEN + ZH_RARE_GIVEN if rng.random() < 0.5 else COMMON_HAN
            rare = rng.choice(ZH_SURNAMES + ZH_RARE_SURNAMES) + "".join(
                rng.choices(given, k=rng.randint(1, 2))
            )
            origin, name = ("zh unusual", rare) if newest and rng.random() < 0.5 else ("zh", fake.name())
            made |= {
                "N": name,
                "ADDR": fake.address().split(" ")[0],
                "ID": fake.ssn(),
                "PHONE": fake.phone_number(),
            }
        return made[slot], origin if slot == "N" else ""

    return fill
