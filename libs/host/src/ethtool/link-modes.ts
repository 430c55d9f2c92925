/** Bits of linux/ethtool.h's `ethtool_link_mode_bit_indices`, those that are speeds, under the names of the ethtool program. */
export const linkModes: ReadonlyMap<number, string> = new Map([
  [0, '10baseT/Half'], [1, '10baseT/Full'], [2, '100baseT/Half'], [3, '100baseT/Full'], [4, '1000baseT/Half'], [5, '1000baseT/Full'],
  [12, '10000baseT/Full'], [15, '2500baseX/Full'], [17, '1000baseKX/Full'], [18, '10000baseKX4/Full'], [19, '10000baseKR/Full'], [20, '10000baseR_FEC'],
  [21, '20000baseMLD2/Full'], [22, '20000baseKR2/Full'], [23, '40000baseKR4/Full'], [24, '40000baseCR4/Full'], [25, '40000baseSR4/Full'],
  [26, '40000baseLR4/Full'], [27, '56000baseKR4/Full'], [28, '56000baseCR4/Full'], [29, '56000baseSR4/Full'], [30, '56000baseLR4/Full'],
  [31, '25000baseCR/Full'], [32, '25000baseKR/Full'], [33, '25000baseSR/Full'], [34, '50000baseCR2/Full'], [35, '50000baseKR2/Full'],
  [36, '100000baseKR4/Full'], [37, '100000baseSR4/Full'], [38, '100000baseCR4/Full'], [39, '100000baseLR4_ER4/Full'], [40, '50000baseSR2/Full'],
  [41, '1000baseX/Full'], [42, '10000baseCR/Full'], [43, '10000baseSR/Full'], [44, '10000baseLR/Full'], [45, '10000baseLRM/Full'],
  [46, '10000baseER/Full'], [47, '2500baseT/Full'], [48, '5000baseT/Full'], [52, '50000baseKR/Full'], [53, '50000baseSR/Full'], [54, '50000baseCR/Full'],
  [55, '50000baseLR_ER_FR/Full'], [56, '50000baseDR/Full'], [57, '100000baseKR2/Full'], [58, '100000baseSR2/Full'], [59, '100000baseCR2/Full'],
  [60, '100000baseLR2_ER2_FR2/Full'], [61, '100000baseDR2/Full'], [62, '200000baseKR4/Full'], [63, '200000baseSR4/Full'],
  [64, '200000baseLR4_ER4_FR4/Full'], [65, '200000baseDR4/Full'], [66, '200000baseCR4/Full'],
]);

/** Bits of the same set that are kinds of plugs. */
export const portModes: ReadonlyMap<number, string> = new Map([
  [7, 'twisted pair'], [8, 'AUI'], [9, 'media-independent'], [10, 'fibre'], [11, 'BNC'], [16, 'backplane'],
]);

/** `PORT_*` of linux/ethtool.h. */
export const portTypes: ReadonlyMap<number, string> = new Map([
  [0, 'twisted pair'], [1, 'AUI'], [2, 'media-independent'], [3, 'fibre'], [4, 'BNC'], [5, 'direct attach'], [0xef, 'none'], [0xff, 'other'],
]);
